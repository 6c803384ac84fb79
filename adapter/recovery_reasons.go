package adapter

// The reasons for which a client gets a new session.
const (
	reasonOffset    = "it has no offset with which it can recover"
	reasonNoSession = "its session is kept nowhere"
	reasonEnded     = "its server or its client ended it"
	reasonNoWitness = "no node vouches for publishers without the log"
	reasonHeard     = "publishers without the log are active"
	reasonMark      = "the log may lack an event"
	reasonTrimmed   = "the log does not reach back to its offset"
	reasonTooMuch   = "it missed too much"
	reasonUnsettled = "events of this node are not in the log yet"
)

// notRecovered tells why. The error is nil: nothing went wrong.
func (a *recoveryLog) notRecovered(reason string) error {
	a.log.Debug("a client is not recovered", "reason", reason)
	return nil
}
