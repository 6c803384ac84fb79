// Package doctor holds no code. Its tests put nginx and HAProxy before Node's servers and the
// gateway, break them one by one, and hold "posthouse doctor" to name the culprit.
package doctor
