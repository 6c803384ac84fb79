package wxsim

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"image/jpeg"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"rsc.io/qr"
)

const (
	// maxCodes bounds the remembered codes; the oldest ended ones go first.
	maxCodes = 100_000
	// codeMemory keeps an ended code known as "expired" for a while.
	codeMemory = 30 * time.Minute
	// maxTicket is the longest ticket of the true shape.
	maxTicket = 100
)

// qrCode is a code that a client asked for.
type qrCode struct {
	id      string
	account *account
	scene   string
	ticket  string
	url     string
	created time.Time
	expires time.Time // zero: permanent
	scans   int
}

func (c *qrCode) expired(now time.Time) bool {
	return !c.expires.IsZero() && !now.Before(c.expires)
}

// ticketFor wraps the code's URL and times as WeChat does (docs/wechat.md §1.3), so
// that a program which decodes tickets learns the same things. The scene is not in it.
func ticketFor(salt byte, codeURL string, created time.Time, life time.Duration) string {
	b := []byte{0x81, 0x01, salt, 0xf0, 0x3c, 0, 0, 0, 0, 0, 0, 0, 0x01, byte(len(codeURL) + 1)}
	b = append(b, codeURL...)
	b = append(b, 0, 0x02, 0x04)
	b = binary.LittleEndian.AppendUint32(b, uint32(created.Unix()))
	b = append(b, 0x03, 0x04)
	b = binary.LittleEndian.AppendUint32(b, uint32(life/time.Second))
	return base64.StdEncoding.EncodeToString(b)
}

// addCode makes a code for scene; life 0 is a permanent one. Holds s.mu.
func (s *Sim) addCode(a *account, scene string, life time.Duration, base string) *qrCode {
	now := s.clock.now()
	s.forgetCodes(now)
	id := "02" + s.rand.text(14)
	c := &qrCode{id: id, account: a, scene: scene, url: base + "/q/" + id, created: now}
	if life > 0 {
		c.expires = now.Add(life)
	}
	inTicket := c.url
	if base64.StdEncoding.EncodedLen(len(inTicket)+27) > maxTicket {
		inTicket = "http://weixin.qq.com/q/" + id // a long base URL must not make a ticket WeChat would never give
	}
	c.ticket = ticketFor(byte(s.rand.IntN(256)), inTicket, now, life)
	s.codes = append(s.codes, c)
	s.codeByID[id] = c
	s.codeByTicket[c.ticket] = c
	a.byScene[scene] = c
	s.changed()
	return c
}

// forgetCodes drops codes that ended long ago, and the oldest when there are
// too many. It looks at all of them each time their number has doubled. Holds
// s.mu.
func (s *Sim) forgetCodes(now time.Time) {
	if len(s.codes) < s.codesChecked && len(s.codes) < maxCodes {
		return
	}
	over := len(s.codes) - maxCodes*3/4
	s.codes = slices.DeleteFunc(s.codes, func(c *qrCode) bool {
		over--
		ended := !c.expires.IsZero() && now.Sub(c.expires) > codeMemory
		if !ended && (over < 0 || len(s.codes) < maxCodes) {
			return false
		}
		delete(s.codeByID, c.id)
		delete(s.codeByTicket, c.ticket)
		if c.account.byScene[c.scene] == c {
			delete(c.account.byScene, c.scene)
		}
		return true
	})
	s.codesChecked = max(1024, 2*len(s.codes))
}

// findCode looks a code up by whatever the caller has of it. Holds s.mu.
func (s *Sim) findCode(ticket, scene, codeURL string, only *account) *qrCode {
	var c *qrCode
	switch {
	case ticket != "":
		c = s.codeByTicket[ticket]
		if c == nil { // copied out of an imageUrl, still escaped
			if raw, err := url.QueryUnescape(ticket); err == nil {
				c = s.codeByTicket[raw]
			}
		}
	case codeURL != "":
		c = s.codeByID[codeURL[strings.LastIndexByte(codeURL, '/')+1:]]
	case only != nil:
		c = only.byScene[scene]
	default:
		for _, a := range s.accounts {
			if found := a.byScene[scene]; found != nil && (c == nil || found.created.After(c.created)) {
				c = found
			}
		}
	}
	if c != nil && only != nil && c.account != only {
		return nil
	}
	return c
}

// imageSide is close to the 430 pixels of WeChat's picture.
const imageSide = 430

// showQRCode is mp.weixin.qq.com's picture route: no token, and 404 with a page
// of HTML for a ticket that is unknown, over, or was not escaped.
func (s *Sim) showQRCode(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	c := s.codeByTicket[r.URL.Query().Get("ticket")]
	known := c != nil && !c.expired(s.clock.now())
	s.mu.Unlock()
	if !known {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "<!DOCTYPE html><title>404</title><p>404 Not Found")
		return
	}
	code, err := qr.Encode(c.url, qr.M)
	if err != nil {
		http.Error(w, "wxsim: "+err.Error(), http.StatusInternalServerError)
		return
	}
	code.Scale = max(1, imageSide/(code.Size+8))
	w.Header().Set("Cache-Control", "no-store")
	if r.URL.Query().Get("format") == "jpg" {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, code.Image(), &jpeg.Options{Quality: 90}); err != nil {
			http.Error(w, "wxsim: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "image/jpg") // WeChat's own spelling
		_, _ = w.Write(b.Bytes())
		return
	}
	w.Header().Set("Content-Type", "image/png")
	_, _ = w.Write(code.PNG())
}
