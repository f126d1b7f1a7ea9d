package config

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// split splits a list at commas, without spaces and empty items.
func split(list string) (items []string) {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// aYear bounds all durations, so that none overflows when it is multiplied, or added to a
// time. No pod lives that long.
const aYear = 365 * 24 * time.Hour

// parseDuration reads a duration; the error goes on after the value.
func parseDuration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil {
		zeros := strings.Map(func(c rune) rune {
			if '0' <= c && c <= '9' {
				return '0'
			}
			return c
		}, value)
		if _, malformed := time.ParseDuration(zeros); malformed != nil {
			return 0, errors.New("is not a valid duration: use a number with a unit, such as 100ms, 1s or 5m")
		}
		d = aYear + 1 // the number alone is too great
	}
	switch {
	case d < 0 || strings.HasPrefix(value, "-") && d != 0:
		return 0, errors.New("is negative: use 0 or more, such as 100ms, 1s or 5m")
	case d > aYear:
		return 0, fmt.Errorf("is longer than a year: use %.0fh or less", aYear.Hours())
	}
	return d, nil
}

// isAddress tells whether s is HOST:PORT, with a number for the port. The host may
// be empty; whether it is one of this machine's only listening tells.
func isAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsAny(host, " /,") {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
