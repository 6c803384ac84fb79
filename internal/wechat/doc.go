// Package wechat speaks with WeChat's servers on behalf of one Official
// Account, in both directions: Receiver opens what WeChat pushes to us
// (signatures, the AES envelope, strict XML), and Client calls WeChat's API
// (access tokens, QR codes, people, messages).
//
// It is for the webhook (package callback) and for the makers of QR codes. The
// facts it stands on are those of WeChat's documentation; where they are
// uncertain the code does not build on them.
//
// The package starts no goroutine. A Client keeps idle HTTP connections, which
// Close returns. Everything here is safe for concurrent use once constructed.
package wechat
