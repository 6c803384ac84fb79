package login

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"posthouse/internal/sleep"

	"github.com/redis/go-redis/v9"
)

// The steps. Each is the common beginning and a file of lua/, run by EVALSHA, and
// by EVAL where the server does not know it yet (a restart, a failover).
var (
	stepCreate    = newScript(createLua)
	stepGet       = newScript(getLua)
	stepResume    = newScript(resumeLua)
	stepUnbind    = newScript(unbindLua)
	stepClaim     = newScript(claimLua)
	stepAsk       = newScript(askLua)
	stepConfirm   = newScript(confirmLua)
	stepUnionID   = newScript(unionIDLua)
	stepDelivered = newScript(deliveredLua)
	stepEnd       = newScript(endLua)
	stepPutCode   = newScript(putCodeLua)
	stepExchange  = newScript(exchangeLua)
	stepRevoke    = newScript(revokeLua)
	stepTokens    = newScript(tokensLua)
	stepTakeBack  = newScript(takeBackLua)
	stepRevoked   = newScript(revokedLua)
	stepForget    = newScript(forgetLua)
	stepLeave     = newScript(leaveLua)
	stepUnindex   = newScript(unindexLua)
	stepWeigh     = newScript(weighLua)
	stepTrust     = newScript(trustLua)
	stepOnce      = newScript(onceLua)
	stepFinish    = newScript(finishLua)
)

var (
	//go:embed lua/begin.lua
	beginLua string
	//go:embed lua/create.lua
	createLua string
	//go:embed lua/get.lua
	getLua string
	//go:embed lua/resume.lua
	resumeLua string
	//go:embed lua/unbind.lua
	unbindLua string
	//go:embed lua/claim.lua
	claimLua string
	//go:embed lua/ask.lua
	askLua string
	//go:embed lua/confirm.lua
	confirmLua string
	//go:embed lua/unionid.lua
	unionIDLua string
	//go:embed lua/delivered.lua
	deliveredLua string
	//go:embed lua/end.lua
	endLua string
	//go:embed lua/putcode.lua
	putCodeLua string
	//go:embed lua/exchange.lua
	exchangeLua string
	//go:embed lua/revoke.lua
	revokeLua string
	//go:embed lua/tokens.lua
	tokensLua string
	//go:embed lua/takeback.lua
	takeBackLua string
	//go:embed lua/revoked.lua
	revokedLua string
	//go:embed lua/forget.lua
	forgetLua string
	//go:embed lua/leave.lua
	leaveLua string
	//go:embed lua/unindex.lua
	unindexLua string
	//go:embed lua/weigh.lua
	weighLua string
	//go:embed lua/trust.lua
	trustLua string
	//go:embed lua/once.lua
	onceLua string
	//go:embed lua/finish.lua
	finishLua string
)

func newScript(lua string) *redis.Script { return redis.NewScript(beginLua + lua) }

// stepAnswer is what the answer function of lua/begin.lua returns.
type stepAnswer struct {
	outcome  string
	now      time.Time
	wasMoved bool
	fields   map[string]string // none when there is no such ticket
}

// runStep runs one script on one ticket.
func (r *Redis) runStep(ctx context.Context, s *redis.Script, key string, args ...any) (a stepAnswer, err error) {
	var cmd *redis.Cmd
	err = r.retryConn(ctx, func() error {
		cmd = s.Run(ctx, r.redisClient, []string{key}, r.stepArgs(args)...)
		return cmd.Err()
	})
	if err != nil {
		return a, err
	}
	if a, err = parseAnswer(cmd); err != nil {
		return a, fmt.Errorf("%w: %w", ErrStoreUnavailable, err)
	}
	return a, nil
}

// stepArgs puts the shift of the clock in front and writes durations as milliseconds.
func (r *Redis) stepArgs(args []any) []any {
	out := make([]any, 0, len(args)+1)
	out = append(out, millisText(r.clockSkew))
	for _, a := range args {
		if d, ok := a.(time.Duration); ok {
			a = millisText(d)
		}
		out = append(out, a)
	}
	return out
}

func parseAnswer(cmd *redis.Cmd) (a stepAnswer, err error) {
	list, err := cmd.Slice()
	if err != nil {
		return a, err
	}
	bad := errors.New("unexpected answer of a script")
	if len(list) != 4 {
		return a, bad
	}
	outcome, ok1 := list[0].(string)
	now, ok2 := list[1].(string)
	moved, ok3 := list[2].(int64)
	pairs, ok4 := list[3].([]any)
	if !ok1 || !ok2 || !ok3 || !ok4 || len(pairs)%2 != 0 {
		return a, bad
	}
	a = stepAnswer{outcome: outcome, now: timeOf(now), wasMoved: moved == 1, fields: make(map[string]string, len(pairs)/2)}
	for i := 0; i < len(pairs); i += 2 {
		k, ok1 := pairs[i].(string)
		v, ok2 := pairs[i+1].(string)
		if !ok1 || !ok2 {
			return a, bad
		}
		a.fields[k] = v
	}
	return a, nil
}

// timeLeft is how long the ticket still answers for itself.
func (a stepAnswer) timeLeft() time.Duration {
	return max(time.Second, timeOf(a.fields["gone"]).Sub(a.now))
}

// timeOf reads milliseconds since 1970; "" is no time.
func timeOf(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(n)
}

// retryWait lies between two tries of an operation.
const retryWait = 100 * time.Millisecond

// retryConn repeats do while the connection fails and ctx has time: a restarting server
// drops connections that a pool still holds. Every operation of this store may be
// repeated: it finds what it did the first time and answers the same. redis.Nil is
// passed through, everything else comes back wrapped.
func (r *Redis) retryConn(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || errors.Is(err, redis.Nil) {
			return err
		}
		var reply redis.Error
		if wrongType(err) {
			return r.damageLog.reportField("type")
		}
		if errors.As(err, &reply) && !isRestarting(reply) || ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrStoreUnavailable, err)
		}
		if sleep.For(ctx, retryWait) != nil {
			return fmt.Errorf("%w: %w", ErrStoreUnavailable, err)
		}
	}
}

// wrongType reports that a key holds another kind of value. In the error of a script the
// word stands in the middle.
func wrongType(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && strings.Contains(reply.Error(), "WRONGTYPE")
}

// isRestarting reports replies of a server that will answer in a moment.
func isRestarting(e redis.Error) bool {
	for _, prefix := range []string{"LOADING", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY"} {
		if redis.HasErrorPrefix(e, prefix) {
			return true
		}
	}
	return false
}
