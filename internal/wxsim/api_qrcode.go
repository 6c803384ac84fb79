package wxsim

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	defaultCodeLife = 60 * time.Second // what an absent expire_seconds means
	maxCodeLife     = 2_592_000        // seconds, 30 days
	maxScene        = 64               // characters
	maxLimitScene   = 100_000
)

type qrCodeBody struct {
	Ticket        string `json:"ticket"`
	ExpireSeconds int64  `json:"expire_seconds,omitempty"`
	URL           string `json:"url"`
}

// createQRCode is POST /cgi-bin/qrcode/create (docs/wechat.md §1.3).
func createQRCode(c *apiCall) (any, *apiError) {
	if c.account.Kind == Subscription || c.account.Lapsed {
		return nil, errUnauthorized
	}
	if c.account.Banned {
		return nil, errBanned
	}
	var in struct {
		ExpireSeconds *int64 `json:"expire_seconds"`
		ActionName    string `json:"action_name"`
		ActionInfo    *struct {
			Scene *sceneBody `json:"scene"`
		} `json:"action_info"`
	}
	if failure := c.bind(&in); failure == errNotJSON {
		return nil, errActionName // the platform's answer to broken JSON here
	} else if failure != nil {
		return nil, failure
	}
	temporary, byNumber := true, true
	switch in.ActionName {
	case "QR_SCENE":
	case "QR_STR_SCENE":
		byNumber = false
	case "QR_LIMIT_SCENE":
		temporary = false
	case "QR_LIMIT_STR_SCENE":
		temporary, byNumber = false, false
	default:
		return nil, errActionName
	}
	scene := "0" // a scene nested wrongly is accepted, and lost
	if in.ActionInfo == nil {
		return nil, errActionInfo
	}
	if in.ActionInfo.Scene != nil {
		if both := in.ActionInfo.Scene; both.ID != nil && both.Str != nil && c.account.SceneWins != ByAction {
			byNumber = c.account.SceneWins == ByID
		}
		var ok bool
		if scene, ok = in.ActionInfo.Scene.value(byNumber, temporary); !ok {
			return nil, errActionInfo
		}
	}
	var life time.Duration
	if temporary {
		life = defaultCodeLife
		if in.ExpireSeconds != nil {
			if *in.ExpireSeconds < 1 || *in.ExpireSeconds > maxCodeLife {
				return nil, errActionInfo
			}
			life = time.Duration(*in.ExpireSeconds) * time.Second
		}
	}
	code := c.addCode(c.account, scene, life, c.baseURL(c.r))
	return qrCodeBody{code.ticket, int64(life / time.Second), code.url}, nil
}

// sceneBody keeps both forms raw: the platform looks only at the one that the
// action names, and refuses the wrong JSON type.
type sceneBody struct {
	ID  json.RawMessage `json:"scene_id"`
	Str json.RawMessage `json:"scene_str"`
}

func (s *sceneBody) value(byNumber, temporary bool) (string, bool) {
	if byNumber {
		var id uint32
		if s.ID == nil || json.Unmarshal(s.ID, &id) != nil || id == 0 || (!temporary && id > maxLimitScene) {
			return "", false
		}
		return strconv.FormatUint(uint64(id), 10), true
	}
	var str string
	if s.Str == nil || json.Unmarshal(s.Str, &str) != nil || str == "" || utf8.RuneCountInString(str) > maxScene {
		return "", false
	}
	return str, true
}
