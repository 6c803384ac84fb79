package login_test

import "testing"

func eachRedis(t *testing.T, f func(t *testing.T, s *fixture)) {}
