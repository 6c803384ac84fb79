package main

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func TestAdminHash_Password_MatchesIts(t *testing.T) {
	hash, err := hashPassword("changeit", 10)
	if err != nil || bcrypt.CompareHashAndPassword([]byte(hash), []byte("changeit")) != nil {
		t.Fatal(hash, err)
	}
	for _, wrong := range []struct {
		password string
		cost     int
	}{{"", 12}, {strings.Repeat("x", 73), 12}, {"changeit", 4}} {
		if _, err := hashPassword(wrong.password, wrong.cost); err == nil {
			t.Errorf("%+v was taken", wrong)
		}
	}
}
