//go:build !race

package fasthttp1_test

const race = false
