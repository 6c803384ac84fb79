//go:build !linux

// Command floor needs Linux; see main.go.
package main

func main() {}
