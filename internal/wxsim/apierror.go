package wxsim

import (
	"fmt"
	"time"
)

// apiError is an answer of the platform: HTTP 200, a code, a text.
type apiError struct {
	code int
	text string
}

// The answers of docs/wechat.md §1.6 that the simulator gives by itself. Any other
// code can be had with the fault "api_error".
var (
	errBusy          = &apiError{-1, "system error"}
	errTokenUnknown  = &apiError{40001, "invalid credential, access_token is invalid or not latest"}
	errGrantType     = &apiError{40002, "invalid grant_type"}
	errOpenID        = &apiError{40003, "invalid openid"}
	errAppID         = &apiError{40013, "invalid appid"}
	errTokenShape    = &apiError{40014, "invalid access_token"}
	errMessageType   = &apiError{40008, "invalid message type"}
	errCharacters    = &apiError{40033, "invalid charset, the request must be UTF-8 and must not include \\uxxxx"}
	errActionName    = &apiError{40052, "invalid action name"}
	errActionInfo    = &apiError{40053, "invalid action info"}
	errPath          = &apiError{40066, "invalid url"}
	errArgs          = &apiError{40097, "invalid args"}
	errAppSecret     = &apiError{40125, "invalid appsecret"}
	errNoCallback    = &apiError{40201, "no callback url set"}
	errCheckAction   = &apiError{40202, "invalid action"}
	errCheckOperator = &apiError{40203, "invalid check_operator"}
	errFrozen        = &apiError{40243, "AppSecret is frozen"}
	errNoToken       = &apiError{41001, "access_token missing"}
	errNoAppID       = &apiError{41002, "appid missing"}
	errNoSecret      = &apiError{41004, "appsecret missing"}
	errTokenExpired  = &apiError{42001, "access_token expired"}
	errNeedGet       = &apiError{43001, "require GET method"}
	errNeedPost      = &apiError{43002, "require POST method"}
	errNotFollowing  = &apiError{43004, "require subscribe"}
	errEmptyPost     = &apiError{44002, "empty post data"}
	errDailyQuota    = &apiError{45009, "reach max api daily quota limit"}
	errMinuteQuota   = &apiError{45011, "api minute-quota reach limit, must slower, retry next minute"}
	errWindow        = &apiError{45015, "response out of time limit or subscription is canceled"}
	errWindowCount   = &apiError{45047, "out of response count limit"}
	errNoUser        = &apiError{46004, "user no exist"}
	errNotJSON       = &apiError{47001, "data format error"}
	errUnauthorized  = &apiError{48001, "api unauthorized"}
	errBanned        = &apiError{48004, "api forbidden for irregularities"}
	errClearsUsedUp  = &apiError{48006, "forbid to clear quota because of reaching the limit"}
	errRid           = &apiError{76001, "rid not found"}
)

func errForeignIP(ip string) *apiError {
	return &apiError{40164, fmt.Sprintf("invalid ip %s ipv6 ::ffff:%s, not in whitelist", ip, ip)}
}

// apiErrorOf is the platform's answer for a code that a fault rule names.
func apiErrorOf(code int) *apiError {
	for _, e := range []*apiError{
		errBusy, errTokenUnknown, errGrantType, errOpenID, errAppID, errTokenShape, errCharacters, errActionName, errActionInfo,
		errPath, errArgs, errAppSecret, errFrozen, errNoToken, errTokenExpired, errNotFollowing, errDailyQuota,
		errMinuteQuota, errWindow, errWindowCount, errNoUser, errNotJSON, errUnauthorized, errBanned, errClearsUsedUp,
	} {
		if e.code == code {
			return e
		}
	}
	switch code {
	case 40164:
		return errForeignIP("127.0.0.1")
	case 44991:
		return &apiError{code, "create qrcode too fast"}
	case 50002:
		return &apiError{code, "user limited"}
	case 89503:
		return &apiError{code, "this ip need to be confirmed by the administrator"}
	default:
		return &apiError{code, "simulated error"}
	}
}

// ridRecord is what openapi/rid/get tells about a failed call.
type ridRecord struct {
	at       time.Time
	url      string // path only: queries carry tokens
	response string
	ip       string
}

// maxRids bounds the remembered failed calls.
const maxRids = 200

// newRid makes the request id of an error text. Holds s.mu.
func (s *Sim) newRid(now time.Time) string {
	return fmt.Sprintf("%08x-%08x-%08x", now.Unix(), s.rand.Uint32(), s.rand.Uint32())
}

func (s *Sim) rememberRid(rid string, record ridRecord) {
	s.rids[rid] = record
	s.ridOrder = append(s.ridOrder, rid)
	if len(s.ridOrder) > maxRids {
		delete(s.rids, s.ridOrder[0])
		s.ridOrder = s.ridOrder[1:]
	}
}
