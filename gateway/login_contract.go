package gateway

import "posthouse/socketio/contract"

// The TypeScript of these declarations is in the npm package of the element.
//
//go:generate go test -run TestLoginContract_IsThatOfThePackage -update .

// declareLoginEvents declares the events of docs/login.md §2 and §3. Their handlers
// belong to the sockets, so that Handle does not know them.
func declareLoginEvents(ns contract.Namespace) {
	contract.Accepts[*qrcodeRequest, qrcodeAnswer](ns, "qrcode")
	contract.Accepts[resumeRequest, stateAnswer](ns, "resume")
	contract.Accepts[contract.None, cancelAnswer](ns, "cancel")
	contract.Emits[qrcodeAnswer](ns, "qrcode")
	contract.Emits[stateAnswer](ns, "state")
	contract.EmitsWithAck[string, contract.None](ns, "token")
	contract.EmitsWithAck[codeMessage, contract.None](ns, "code")
	contract.Emits[failureAnswer](ns, "failure")
}
