package main

import (
	"slices"
	"sync"
	"time"
)

// result is what a load came to. Times are in milliseconds, of one request or artifact.
type result struct {
	Done    int      `json:"done"`
	Errors  int      `json:"errors"`
	Error   string   `json:"error,omitempty"`
	Seconds float64  `json:"seconds"`
	P50     float64  `json:"p50_ms"`
	P99     float64  `json:"p99_ms"`
	Digests []string `json:"digests,omitempty"`
}

// inParallel calls work(worker, n) for n = 0, 1, 2 … by some workers at once, until it runs out of numbers or time.
// A count or a duration of 0 is no limit.
func inParallel(workers, count int, limit time.Duration, work func(worker, n int) error) *result {
	var (
		mutex     sync.Mutex
		group     sync.WaitGroup
		next      int
		durations []time.Duration
		found     result
	)
	begun := time.Now()
	take := func() (int, bool) {
		mutex.Lock()
		defer mutex.Unlock()
		if (count > 0 && next >= count) || (limit > 0 && time.Since(begun) >= limit) {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for worker := range workers {
		group.Go(func() {
			own := make([]time.Duration, 0, 1<<16)
			failed, first := 0, ""
			for n, more := take(); more; n, more = take() {
				start := time.Now()
				if err := work(worker, n); err != nil {
					failed++
					if first == "" {
						first = err.Error()
					}
					continue
				}
				own = append(own, time.Since(start))
			}
			mutex.Lock()
			defer mutex.Unlock()
			durations = append(durations, own...)
			found.Errors += failed
			if found.Error == "" {
				found.Error = first
			}
		})
	}
	group.Wait()
	found.Seconds = time.Since(begun).Seconds()
	found.Done = len(durations)
	slices.Sort(durations)
	found.P50, found.P99 = quantile(durations, 0.50), quantile(durations, 0.99)
	return &found
}

func quantile(sorted []time.Duration, part float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[int(part*float64(len(sorted)-1))]) / float64(time.Millisecond)
}
