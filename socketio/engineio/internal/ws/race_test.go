//go:build race

package ws_test

const race = true
