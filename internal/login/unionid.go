package login

import (
	"context"
	"time"
)

// unionIDTime is how long WeChat may take to tell a unionid. A login waits no
// longer: without an answer the token goes without (docs/wechat.md §1.4).
const unionIDTime = 1500 * time.Millisecond

// withUnionID is t with its person's unionid, as far as the account wants it. It is
// asked for here, where the result is made, and not by the webhook, whose answer
// WeChat waits for. Whatever comes of it, nothing included, is kept with the ticket
// before a token is signed: the token has one jti, so every copy of it says the
// same, on whichever replica the browser comes back to.
func (s *Service) withUnionID(ctx context.Context, t Ticket) (Ticket, error) {
	if t.Unioned || s.options.UnionIDs == nil || !s.options.UnionIDs.Wanted(t.Account) {
		return t, nil
	}
	asking, cancel := context.WithTimeout(ctx, unionIDTime)
	defer cancel()
	id, err := s.options.UnionIDs.UnionID(asking, t.Account, t.OpenID)
	switch {
	case ctx.Err() != nil: // the browser has gone: nothing was learnt about WeChat
		return Ticket{}, ctx.Err()
	case err != nil:
		id = ""
		s.options.Counter.Count("unionid", t.Account, "failed")
		s.options.Logger.Warn("login: a token goes without its unionid", "account", t.Account, "error", err)
	case id == "":
		s.options.Counter.Count("unionid", t.Account, "none")
	default:
		s.options.Counter.Count("unionid", t.Account, "known")
	}
	return s.options.Store.SetUnionID(ctx, t.ID, t.OpenID, id)
}
