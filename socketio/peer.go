package socketio

import "errors"

// The functions of this file are for packages that speak the protocol beside Server, such as
// socketio/client: their events and acknowledgements hold the same Args, and are
// encoded alike.

// ArgsOf returns the arguments in a list, as parser.List and parser.SplitEvent give it.
// They share its memory and that of the attachments.
func ArgsOf(list []byte, attachments [][]byte) Args { return Args{list, attachments} }

// AppendEvent appends ["event",args…], the data of an EVENT packet, and collects the
// binary values. It returns ErrReserved for a reserved name.
func AppendEvent(dst []byte, event string, args ...any) ([]byte, [][]byte, error) {
	return appendEvent(dst, event, args)
}

// AppendAck appends [args…], the data of an ACK packet, and collects the binary values.
func AppendAck(dst []byte, args ...any) ([]byte, [][]byte, error) {
	dst, attachments, err := appendArgs(append(dst, '['), nil, args)
	if err != nil {
		return dst, nil, err
	}
	return append(dst, ']'), attachments, nil
}

// ErrorAnswer returns what a typed handler's error is to the peer: see Handle. known is
// false for an error of which the peer learns only the code "internal"; the caller logs it.
func ErrorAnswer(err error) (answer map[string]any, known bool) {
	var told *EventError
	known = true
	switch {
	case errors.As(err, &told):
	case errors.Is(err, ErrArgs):
		told = &EventError{Code: "bad_request", Message: "the arguments do not fit"}
	default:
		told = &EventError{Code: "internal", Message: "internal error"}
		known = false
	}
	fields := make(map[string]any, len(told.Data)+2)
	for k, v := range told.Data {
		fields[k] = v
	}
	fields["code"], fields["message"] = told.Code, told.Message
	return map[string]any{"error": fields}, known
}
