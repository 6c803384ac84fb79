package wxsim

import (
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"
)

// maxAccountFile bounds a file of accounts.
const maxAccountFile = 1 << 20

// ReadAccounts reads the accounts of a YAML or JSON file. Its keys are those of
// the admin route POST /sim/accounts; what WeChat would invent (secret, token,
// AES key) must be there, because a gateway has to be told the same.
//
//	accounts:
//	  - appid: wx1a2b3c4d5e6f7081
//	    originalId: gh_0a1b2c3d4e5f
//	    secret: any-text
//	    token: simTokenForTheShop
//	    aesKey: kX7mQ2vB9sT4wZ1nL6pR8cY3fJ5hD0gA2eU7iO4xN9b
//	    mode: secure               # plain, compat
//	    kind: service              # subscription, sandbox
//	    unionGroup: acme           # accounts of one group share unionids
//	    callbacks: [http://127.0.0.1:3000/callback/wechat/shop]
func ReadAccounts(r io.Reader) ([]Account, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxAccountFile))
	if err != nil {
		return nil, err
	}
	var file struct {
		Accounts []accountBody `json:"accounts"`
	}
	if err := yaml.UnmarshalWithOptions(data, &file, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("wxsim: accounts: %w", err)
	}
	if len(file.Accounts) == 0 {
		return nil, errors.New("wxsim: the file lists no accounts")
	}
	accounts := make([]Account, len(file.Accounts))
	for i, body := range file.Accounts {
		if accounts[i], err = body.apply(Account{}).withDefaults(); err != nil {
			return nil, fmt.Errorf("accounts[%d]: %w", i, err)
		}
	}
	return accounts, nil
}
