package scenario_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"posthouse/internal/wxsim/scenario"
)

// A script is read, then played against a gateway that runs.
func ExamplePlay() {
	script, err := scenario.ReadScript(strings.NewReader(`
name: a stranger signs in
steps:
  - open: desk
  - code: desk
  - scan: {person: ann, tab: desk, follow: true}
  - token: {tab: desk, person: ann}
  - ended: {tab: desk}
`))
	if err != nil {
		panic(err)
	}
	fmt.Println(script.Name, len(script.Steps))
	play := func(gateway string) error {
		return scenario.Play(context.Background(), script, scenario.Target{Gateways: []string{gateway}}, os.Stdout)
	}
	_ = play // play("http://127.0.0.1:3000")
	// Output: a stranger signs in 5
}

// Load against two replicas that share a stand-alone simulator.
func ExampleLoad() {
	run := func(ctx context.Context) (scenario.Report, error) {
		return scenario.Load(ctx, scenario.LoadOptions{
			Target: scenario.Target{
				Gateways:  []string{"http://127.0.0.1:3000", "http://127.0.0.1:3001"},
				Simulator: "http://127.0.0.1:3900/sim",
			},
			Logins: 10_000, Seed: 7,
		})
	}
	_ = run
	scenario.Report{Name: "load", Seed: 7, Logins: 10_000, SignedIn: 9_400, Took: 2 * time.Minute}.Print(os.Stdout)
	// Output:
	// load, seed 7: 10000 logins in 2m0s (83/s)
	//   signed in     9400, scan to token p50 0s p99 0s
	//   sent again    0 (same token id, allowed)
	//   lost 0  doubled 0  misdelivered 0  broken 0
	// PASS
}
