package login_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"posthouse/internal/login"
)

// codes stands for the account's API client.
type codes struct{}

func (codes) Create(_ context.Context, account, scene string, life time.Duration) (login.QRCode, error) {
	return login.QRCode{AppID: "wx1", Ticket: "gQ…", URL: "http://weixin.qq.com/q/…", Life: life}, nil
}

// A login from the code on the page to the token in its hands.
func ExampleService() {
	ctx := context.Background()
	key, _, err := login.GenerateKey()
	if err != nil {
		panic(err)
	}
	issuer, err := login.NewIssuer(&login.IssuerOptions{Keys: []login.Key{key}})
	if err != nil {
		panic(err)
	}
	service, err := login.NewService(&login.ServiceOptions{Store: login.NewMemory(), Issuer: issuer, QRCodes: codes{}})
	if err != nil {
		panic(err)
	}

	// The page asks for a code.
	started, err := service.Start(ctx, login.StartRequest{Account: "default", SocketID: "socket-1"})
	if err != nil {
		panic(err)
	}
	fmt.Println(started.Ticket.State, started.Ticket.ExpiresIn())

	// The webhook tells who scanned it.
	ticket, outcome, err := service.Claim(ctx, login.Claim{AppID: "wx1", Scene: started.Ticket.ID, OpenID: "openid"})
	if err != nil {
		panic(err)
	}
	fmt.Println(outcome, ticket.State)

	// The replica that holds the socket makes the result and sends it.
	result, err := service.Result(ctx, ticket)
	if err != nil {
		panic(err)
	}
	claims, err := issuer.Verify(result.Value)
	fmt.Println(result.Event, claims.Subject, claims.JTI == ticket.JTI, err)
	// Output:
	// waiting 5m0s
	// claimed done
	// token openid true <nil>
}

// Keys as POSTHOUSE_JWT_KEY holds them; the first signs, the others are accepted.
func ExampleParseKeys() {
	keys, err := login.ParseKeys("hs256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	if err != nil {
		panic(err)
	}
	fmt.Println(len(keys), keys[0].Algorithm())
	// Output: 1 HS256
}

// A spool keeps what the store could not take.
func ExampleSpool() {
	dir, err := os.MkdirTemp("", "spool")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	spool, err := login.OpenSpool(filepath.Join(dir, "claims"))
	if err != nil {
		panic(err)
	}
	defer spool.Close()
	if err := spool.Append(login.Claim{AppID: "wx1", Scene: "L1.…", OpenID: "openid", At: time.Now()}); err != nil {
		panic(err)
	}
	fmt.Println(spool.Len())
	// Output: 1
}
