package watcher

type Shared struct{}

func NewShared() *Shared { return nil }

