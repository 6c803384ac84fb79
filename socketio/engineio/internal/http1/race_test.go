//go:build race

package http1_test

const race = true
