// Package callback is the webhook: WeChat's servers call it, on any replica,
// when a person follows the account, scans a QR code or writes something.
//
// A push is verified, opened, told from its repeats and judged; a follow or a
// scan of a login's QR code claims the ticket for that person, and the node
// which holds the browser's socket is notified. Everything that is no login
// goes on, unchanged, to the account's own bot if one is configured.
//
// Three rules shape the code. WeChat must have its answer within 5 seconds, or
// it shows the person an error and, after some of them, stops pushing for a
// minute. "success" promises that the push need not come again, so a login is
// answered so only once its claim is durable. And a peer other than WeChat learns
// nothing: every refusal looks the same.
//
// A Handler works with any implementation of Login and Dedupe; the gateway has one of
// each. Their types are the gateway's, under names of this package, so that other
// modules can implement them.
//
// A Handler starts no goroutine but those that copy logins to an upstream, for which
// Handler.Close waits; requests run on their server's. Only
// IPList.Run blocks, and belongs to its caller. Handler.Close gives idle
// connections to upstreams back.
package callback
