package main

import (
	"time"

	"posthouse/internal/load"
)

// history is what keeping every event costs, with ÷ without: the ratio to ours is the price.
func history() group {
	return group{
		name: "history", title: "What a history of every event costs: with ÷ without",
		servers: "history,ours", rounds: 2, duration: time.Second, extra: true, scenarios: load.History(),
	}
}

// recovery is what an idle session that can be recovered costs, with ÷ without.
func recovery() group {
	return group{
		name: "recovery", title: "An idle session that can be recovered: with ÷ without",
		servers: "recovery,ours", rounds: 1, duration: 2 * time.Second, extra: true, scenarios: load.Recovery(),
	}
}
