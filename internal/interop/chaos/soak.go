package main

import "time"

// samples are sizes over time.
type samples []struct {
	at    time.Duration
	sizes sizes
}

func (s *samples) add(at time.Duration, z sizes) {
	*s = append(*s, struct {
		at    time.Duration
		sizes sizes
	}{at, z})
}

// slope is the change a second of one size, by linear regression.
func (s samples) slope(of func(sizes) float64) float64 {
	var n, sumX, sumY, sumXX, sumXY float64
	for _, sample := range s {
		x, y := sample.at.Seconds(), of(sample.sizes)
		n, sumX, sumY, sumXX, sumXY = n+1, sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	if d := n*sumXX - sumX*sumX; d != 0 {
		return (n*sumXY - sumX*sumY) / d
	}
	return 0
}
