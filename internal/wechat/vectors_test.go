package wechat_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"strconv"
	"testing"
	"time"

	"posthouse/internal/wechat"
)

// vector is one case of testdata/wechat-vectors.json, which the simulator's
// own cryptography is tested with as well.
type vector struct {
	Name           string
	Kind           string
	Mode           string
	ConfiguredMode string `json:"configured_mode"`
	Source         string
	Token          string
	AppID          string
	AESKey         string `json:"aes_key"`
	Query          map[string]string
	Body           string
	Encrypt        string
	Plaintext      string
	Random16       string
	MsgSignature   string `json:"msg_signature"`
	Nonce          string
	Timestamp      string
	Expect         struct {
		Accept              bool
		Status              int
		Body                string
		Event, Scene        string
		Ticket, User, Reply string
		MsgType             string `json:"msg_type"`
		Login               *bool
	}
}

type vectorFile struct {
	Clock   int64
	Account struct {
		AppID      string
		OriginalID string `json:"original_id"`
		AESKey     string `json:"encoding_aes_key"`
		Previous   string `json:"previous_encoding_aes_key"`
	}
	Vectors []vector
}

func readVectors(t *testing.T) vectorFile {
	t.Helper()
	raw, err := os.ReadFile("testdata/wechat-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var f vectorFile
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Vectors) < 30 {
		t.Fatalf("only %d vectors", len(f.Vectors))
	}
	return f
}

// receiver configures an account as the vector supposes it to be.
func (f vectorFile) receiver(t *testing.T, v vector) *wechat.Receiver {
	t.Helper()
	o := wechat.ReceiverOptions{AppID: v.AppID, Token: wechat.Secret(v.Token), Mode: wechat.Mode(v.Mode)}
	if v.Mode == "negative" || v.Mode == "" {
		o.Mode = wechat.Mode(v.ConfiguredMode)
	}
	switch {
	case v.Kind == "url_verify":
		o.Mode = wechat.Plain // verification is alike in every mode
	case v.Source == "official":
		o.AESKey = wechat.Secret(v.AESKey)
	default:
		o.AppID, o.OriginalID = f.Account.AppID, f.Account.OriginalID
		o.AESKey, o.PreviousAESKey = wechat.Secret(f.Account.AESKey), wechat.Secret(f.Account.Previous)
	}
	r, err := wechat.NewReceiver(&o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (v vector) query(t *testing.T) wechat.Query {
	t.Helper()
	values := url.Values{}
	for k, s := range v.Query {
		values.Set(k, s)
	}
	q, err := wechat.ParseQuery(values.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// clock is the file's for most; a vector from another day brings its own.
func (f vectorFile) clock(t *testing.T, v vector) time.Time {
	t.Helper()
	sent, err := strconv.ParseInt(v.Query["timestamp"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if d := f.Clock - sent; d > 300 || d < -300 {
		return time.Unix(sent+5, 0)
	}
	return time.Unix(f.Clock, 0)
}

func TestVectors(t *testing.T) {
	t.Parallel()
	f := readVectors(t)
	for _, v := range f.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			switch v.Kind {
			case "url_verify":
				got, err := f.receiver(t, v).Echo(v.query(t))
				if err != nil || got != v.Expect.Body {
					t.Fatalf("Echo = %q, %v; want %q", got, err, v.Expect.Body)
				}
			case "push":
				f.push(t, v)
			case "reply":
				v.reply(t)
			default:
				t.Fatalf("unknown kind %q", v.Kind)
			}
		})
	}
}

func (f vectorFile) push(t *testing.T, v vector) {
	r, q := f.receiver(t, v), v.query(t)
	err := r.Check(q, f.clock(t, v))
	var p *wechat.Push
	if err == nil {
		p, err = r.Open(q, []byte(v.Body))
	}
	if !v.Expect.Accept {
		if !errors.Is(err, wechat.ErrRefused) && !errors.Is(err, wechat.ErrMalformed) {
			t.Fatalf("accepted or an odd error: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	m := p.Message
	if v.Expect.Event != "" && !m.Is(v.Expect.Event) {
		t.Errorf("event %q, want %q", m.Event, v.Expect.Event)
	}
	if v.Expect.MsgType != "" && m.Type != v.Expect.MsgType {
		t.Errorf("type %q, want %q", m.Type, v.Expect.MsgType)
	}
	scene, _ := m.Scene()
	if v.Expect.Scene != "" && scene != v.Expect.Scene || v.Expect.Login != nil && !*v.Expect.Login && scene != "" {
		t.Errorf("scene %q, want %q", scene, v.Expect.Scene)
	}
	if v.Expect.Ticket != "" && m.Ticket != v.Expect.Ticket {
		t.Errorf("ticket %q, want %q", m.Ticket, v.Expect.Ticket)
	}
	if v.Expect.User != "" && m.Person() != v.Expect.User {
		t.Errorf("person %q, want %q", m.Person(), v.Expect.User)
	}
	if v.AESKey == "" {
		return
	}
	// The envelope, both ways.
	key, err := wechat.ParseAESKey(wechat.Secret(v.AESKey))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := key.Open(v.Encrypt, v.AppID)
	if err != nil || string(plain) != v.Plaintext {
		t.Fatalf("Open = %q, %v", plain, err)
	}
	if got := key.SealWith([16]byte([]byte(v.Random16)), plain, v.AppID); got != v.Encrypt {
		t.Errorf("Seal = %s\nwant   %s", got, v.Encrypt)
	}
}

func (v vector) reply(t *testing.T) {
	key, err := wechat.ParseAESKey(wechat.Secret(v.AESKey))
	if err != nil {
		t.Fatal(err)
	}
	e := key.SealWith([16]byte([]byte(v.Random16)), []byte(v.Plaintext), v.AppID)
	if e != v.Encrypt {
		t.Errorf("Seal = %s\nwant   %s", e, v.Encrypt)
	}
	if got := wechat.Sign(wechat.Secret(v.Token), v.Timestamp, v.Nonce, e); got != v.MsgSignature {
		t.Errorf("Sign = %s, want %s", got, v.MsgSignature)
	}
	if got := wechat.ReplyPush(wechat.Secret(v.Token), v.Nonce).Wrap(e, v.Timestamp); string(got) != v.Body {
		t.Errorf("reply = %s\nwant    %s", got, v.Body)
	}
}

// The samples that are printed (docs/wechat.md §2.10) and stand in no file: the very bytes
// of a follow with a scene, plain and sealed.
func TestPrintedSamples(t *testing.T) {
	t.Parallel()
	f := readVectors(t)
	const body = `<xml><ToUserName><![CDATA[gh_0a1b2c3d4e5f]]></ToUserName>
<FromUserName><![CDATA[oSIM0uAbCdEfGhIjKlMnOpQrStUv]]></FromUserName>
<CreateTime>1767225662</CreateTime>
<MsgType><![CDATA[event]]></MsgType>
<Event><![CDATA[subscribe]]></Event>
<EventKey><![CDATA[qrscene_L1.q7Yx2Jm0T4uVb9cZkE8sNw]]></EventKey>
<Ticket><![CDATA[gQFc8DwAAAAAAAAAAS1odHRwOi8vd2VpeGluLnFxLmNvbS9xLzAyU2ltQTFiMkMzZDRFNWY2RzdoOAACBAC5VWkDBCwBAAA=]]></Ticket>
</xml>`
	const token, stamp = wechat.Secret("simTokenForGateway2026"), "1767225662"
	if got := wechat.Sign(token, stamp, "556677889"); got != "2de0f96351e3ab914f4ad7a48cf74e952f5f8d18" {
		t.Errorf("plain_subscribe_with_scene is signed %s", got)
	}
	key, err := wechat.ParseAESKey(wechat.Secret(f.Account.AESKey))
	if err != nil {
		t.Fatal(err)
	}
	sealed := key.SealWith([16]byte([]byte("7f3a9c01d2e4b586")), []byte(body), f.Account.AppID)
	if got := wechat.Sign(token, stamp, "889900112", sealed); got != "fdbc9cfe3f4d3adce20f9445046809ee7263a986" {
		t.Errorf("secure_subscribe_with_scene is signed %s", got)
	}
	q := url.Values{
		"timestamp": {stamp}, "nonce": {"889900112"}, "signature": {"b41ff3e5b56399be6be3a6ed5064687227a79dd3"},
		"encrypt_type": {"aes"}, "msg_signature": {"fdbc9cfe3f4d3adce20f9445046809ee7263a986"},
	}
	query, err := wechat.ParseQuery(q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	r := f.receiver(t, vector{Mode: "secure", AppID: f.Account.AppID, Token: string(token)})
	if err := r.Check(query, time.Unix(f.Clock, 0)); err != nil {
		t.Fatal(err)
	}
	p, err := r.Open(query, []byte("<xml><ToUserName><![CDATA[gh_0a1b2c3d4e5f]]></ToUserName><Encrypt><![CDATA["+sealed+"]]></Encrypt></xml>"))
	if err != nil {
		t.Fatal(err)
	}
	if scene, ok := p.Message.Scene(); !ok || scene != "L1.q7Yx2Jm0T4uVb9cZkE8sNw" || string(p.Body) != body {
		t.Errorf("scene %q in %s", scene, p.Body)
	}
}
