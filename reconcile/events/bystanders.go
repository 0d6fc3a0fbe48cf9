package events

func (e *Listener) SetBystanders(all map[uint32]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bystanders = all
}

func (e *Listener) isBystander(link uint32) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.bystanders[link]
}

// Seen forgets what a pass that begins will see.
func (e *Listener) Seen() {
	select {
	case <-e.Murmur:
	default:
	}
}
