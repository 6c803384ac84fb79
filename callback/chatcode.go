package callback

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
)

// asksForCode reports whether a text is one of the account's words for a code.
func (a *account) asksForCode(text string) bool {
	if len(a.CodeWords) == 0 || len(text) > maxCodeWord {
		return false
	}
	said := plainWord(text)
	for _, word := range a.CodeWords {
		if said == plainWord(word) {
			return true
		}
	}
	return false
}

// maxCodeWord is longer than any word for a code.
const maxCodeWord = 256

// plainWord is a text without case, width and space around it.
func plainWord(text string) string {
	return strings.ToLower(strings.TrimSpace(norm.NFKC.String(text)))
}

// giveChatCode answers with a fresh code. The reply is built here, because a repeat must
// say the same code and only the sealed reply is remembered.
func (a *account) giveChatCode(ctx context.Context, d *delivery) verdict {
	code, life, err := a.handler.options.ChatCodes(ctx, a.AppID, d.push.Message.From)
	if err != nil {
		a.handler.options.Metrics.Fault(a.Name, "chat_code")
		a.handler.options.Logger.Warn("a code for the chat was not made; staying silent so that the word comes again",
			slog.String("account", a.Name), slog.String("class", classOf(err)))
		return verdict{notStored: true}
	}
	minutes := max(1, int(life.Round(time.Minute)/time.Minute))
	text := strings.NewReplacer("{code}", code, "{minutes}", strconv.Itoa(minutes)).Replace(a.phrases[ChatCode])
	body, ok := d.push.Text(text, a.handler.options.Now())
	if !ok {
		return verdict{}
	}
	return verdict{rawReply: body, rawType: "text/xml; charset=utf-8"}
}
