package login_test

import (
	"slices"
	"strings"
	"testing"

	"posthouse/internal/login"
)

func TestReadTyped_FindsACode(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"7dggvws5", "7DGGVWS5", "７ｄｇｇ　ｖｗｓ５", "7dgg vws5", "7dgg\u3000vws5", "7dgg\u00a0vws5", "7dgg\nvws5", "7dgg\r\nvws5",
		"7dgg–vws5", "7dgg-vws5", "7dgg。vws5", "7dggvws5。", "7dgg.vws5", "7dgg\u200bvws5", "“7dggvws5”", "'7dgg vws5'", "「7dggvws5」",
		"验证码7dggvws5", "验证码：7dgg vws5", "我的登录码是7dggvws5，谢谢", "my code is 7dgg vws5 thanks", "7 d g g v w s 5", "7dgg\x1dvws5",
	} {
		if got := login.ReadTyped(text).Codes; len(got) == 0 || got[0] != "7dggvws5" {
			t.Errorf("%q: %q", text, got)
		}
	}
	if got := login.ReadTyped("O1lI abcd").Codes; len(got) == 0 || got[0] != "0111abcd" {
		t.Errorf("look-alikes: %q", got)
	}
	for _, text := range []string{"", "hello", "7dggvws", "7dggvws55", "你好", "7dgg的vws5", strings.Repeat("7dggvws5 ", 300)} {
		if got := login.ReadTyped(text).Codes; len(got) > 0 {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// FuzzTypedCode: any decoration of a code is found, and what is found stands in the
// text.
func FuzzTypedCode(f *testing.F) {
	f.Add("7dggvws5", "验证码：", "\u3000", "。谢谢", "any text abcd 1234")
	f.Add("00000000", "“", "\u200b", "”", "")
	alphabet := "0123456789abcdefghjkmnpqrstvwxyz"
	f.Fuzz(func(t *testing.T, seed, before, between, after, free string) {
		for _, c := range login.ReadTyped(free).Codes {
			letters := strings.NewReplacer("o", "0", "i", "1", "l", "1").Replace(login.LettersOf(free))
			if len(c) != 8 || strings.Trim(c, alphabet) != "" || !strings.Contains(letters, c) {
				t.Fatalf("%q in %q", c, free)
			}
		}
		code := []byte("7dggvws5")
		for i := range min(len(seed), 7) {
			code[i] = alphabet[seed[i]%32]
		}
		code[6], code[7] = 'x', '7'
		for _, s := range []string{before, between, after} {
			if login.LettersOf(s) != "" || len(s) > 200 || !strings.EqualFold(s, strings.ToValidUTF8(s, "")) {
				return
			}
		}
		if login.HasForeign(between) {
			return
		}
		text := before + strings.ToUpper(string(code[:4])) + between + string(code[4:]) + after
		if got := login.ReadTyped(text).Codes; !slices.Contains(got, string(code)) {
			t.Fatalf("%q: %q, want %s", text, got, code)
		}
	})
}
