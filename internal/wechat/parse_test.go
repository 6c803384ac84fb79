package wechat_test

import (
	"errors"
	"strings"
	"testing"

	"posthouse/internal/wechat"
)

const goodXML = `<xml><ToUserName><![CDATA[gh_1]]></ToUserName>
<FromUserName><![CDATA[oA]]></FromUserName><CreateTime>1767225662</CreateTime>
<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[SCAN]]></Event>
<EventKey><![CDATA[L1.x]]></EventKey><Ticket><![CDATA[gQ==]]></Ticket></xml>`

func TestPushesAreReadStrictly(t *testing.T) {
	t.Parallel()
	replace := func(old, new string) string { return strings.Replace(goodXML, old, new, 1) }
	good := map[string]string{
		"as sent":            goodXML,
		"a declaration":      `<?xml version="1.0" encoding="UTF-8"?>` + goodXML,
		"space around":       "\n " + goodXML + "\n",
		"no CDATA":           replace("<![CDATA[SCAN]]>", "SCAN"),
		"nested strangers":   replace("</xml>", "<ScanCodeInfo><a><b><c><d><e>1</e></d></c></b></a></ScanCodeInfo></xml>"),
		"a stranger twice":   replace("</xml>", "<Idx>1</Idx><Idx>2</Idx></xml>"),
		"ours, but deeper":   replace("</xml>", "<Info><Event>other</Event></Info></xml>"),
		"another namespace":  replace("</xml>", `<a:Event xmlns:a="urn:a">other</a:Event></xml>`),
		"some attributes":    replace("<Event>", `<Event a="1" b="2">`),
		"CDATA in two parts": replace("<![CDATA[SCAN]]>", "<![CDATA[SC]]><![CDATA[AN]]>"),
		"GBK is declared":    `<?xml version="1.0" encoding="gb2312"?>` + goodXML,
		"XML 1.1":            `<?xml version="1.1"?>` + goodXML,
		"a mark before":      "\ufeff" + goodXML,
		"marks everywhere":   "\ufeff\n\ufeff<?xml version=\"1.0\"?>\ufeff" + goodXML,
		"a null":             replace("SCAN", "SC\x00AN"),
		"not UTF-8":          replace("SCAN", "SC\xff\xfeAN"),
		"a null reference":   replace("<![CDATA[SCAN]]>", "SC&#0;AN"),
		"half a pair":        replace("<![CDATA[SCAN]]>", "SC&#xD800;AN"),
		"a control in a tag": replace("<Event>", "<Ev\x01ent>"),
	}
	for name, body := range good {
		m, err := wechat.Parse([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.To != "gh_1" || m.From != "oA" || m.Created.Unix() != 1767225662 || !m.Is("scan") || m.EventKey != "L1.x" || m.Ticket != "gQ==" {
			t.Errorf("%s: %+v", name, m)
		}
	}
	bad := map[string]string{
		"empty":                "",
		"two declarations":     `<?xml version="1.0"?><?xml version="1.0"?>` + goodXML,
		"an end too many":      goodXML + "</xml>",
		"nothing but no UTF-8": replace("SCAN", "\xff"),
		"an upper-case root":   strings.ReplaceAll(goodXML, "xml>", "XML>"),
		"an entity":            replace("1767225662", "&x;"),
		"depth 9":              replace("</xml>", strings.Repeat("<a>", 8)+strings.Repeat("</a>", 8)+"</xml>"),
		"nine attributes":      replace("<Event>", `<Event a="" b="" c="" d="" e="" f="" g="" h="" i="">`),
		"an event twice":       replace("</xml>", "<Event>subscribe</Event></xml>"),
		"a key twice":          replace("</xml>", "<EventKey/></xml>"),
		"a ticket twice":       replace("</xml>", "<Ticket/></xml>"),
		"a receiver twice":     replace("</xml>", "<ToUserName>gh_2</ToUserName></xml>"),
		"a negative time":      replace("1767225662", "-1"),
		"a huge time":          replace("1767225662", "99999999999999999999"),
		"time with spaces":     replace("1767225662", " 1767225662 "),
		"no sender":            replace("<![CDATA[oA]]>", ""),
		"an event of no kind":  replace("<![CDATA[SCAN]]>", ""),
		"a comment":            replace("SCAN]]>", "SC]]><!-- -->AN"),
		"a directive inside":   replace("</xml>", "<!ELEMENT a></xml>"),
		"an instruction after": goodXML + "<?x y?>",
	}
	for name, body := range bad {
		if m, err := wechat.Parse([]byte(body)); !errors.Is(err, wechat.ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func TestJSONPushesAreReadAsStrictly(t *testing.T) {
	t.Parallel()
	good := `{"ToUserName":"gh_1","FromUserName":"oA","CreateTime":1714037059,"MsgType":"event","Event":"x","list":[{"a":[1,true,null]}]}`
	m, err := wechat.Parse([]byte(good))
	if err != nil || m.Event != "x" || m.Created.Unix() != 1714037059 {
		t.Fatalf("%+v, %v", m, err)
	}
	for name, body := range map[string]string{
		"twice":        strings.Replace(good, `"Event"`, `"Event":"y","Event"`, 1),
		"nested":       strings.Replace(good, `"x"`, `{"a":"x"}`, 1),
		"a list":       strings.Replace(good, `"x"`, `["x"]`, 1),
		"deep":         strings.Replace(good, `[1,`, strings.Repeat("[", 9)+strings.Repeat("]", 9)+`,[1,`, 1),
		"two":          good + good,
		"cut":          good[:len(good)-3],
		"a float time": strings.Replace(good, "1714037059", "1.7e9", 1),
	} {
		if _, err := wechat.Parse([]byte(body)); !errors.Is(err, wechat.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestScenes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 65)
	for _, c := range []struct{ event, key, scene string }{
		{"subscribe", "qrscene_L1.a", "L1.a"},
		{"SUBSCRIBE", "qrscene_L1.a", "L1.a"},
		{"subscribe", "qrscene_qrscene_a", "qrscene_a"},
		{"subscribe", "L1.a", ""},
		{"subscribe", "", ""},
		{"subscribe", "qrscene_", ""},
		{"subscribe", "last_trade_no_4200", ""},
		{"SCAN", "L1.a", "L1.a"},
		{"scan", "qrscene_a", "qrscene_a"},
		{"SCAN", "", ""},
		{"SCAN", long, ""},
		{"CLICK", "L1.a", ""},
	} {
		m := wechat.Message{Type: "event", Event: c.event, EventKey: c.key}
		scene, ok := m.Scene()
		if !ok {
			scene = ""
		}
		if scene != c.scene {
			t.Errorf("%s %q: %q, want %q", c.event, c.key, scene, c.scene)
		}
	}
	m := wechat.Message{Type: "text", Event: "SCAN", EventKey: "L1.a"}
	if _, ok := m.Scene(); ok {
		t.Error("a text scanned something")
	}
}
