//! How much one actor does before the others on its thread have their turn. actix polls an actor's mailbox for as long as
//! something is in it: one that never runs dry would keep everybody else from the thread for ever. Pure.

/// What one turn may cost: so many small messages.
pub const BUDGET: usize = 64;

/// Bytes that are as much work as a small message.
const BYTES: usize = 4_096;

/// The part of its turn that an actor has used.
#[derive(Debug, Default)]
pub struct Turn {
    used: usize,
}

impl Turn {
    /// The actor has handled a message, and written so many bytes for it. Returns whether its turn is over: then it is to
    /// wait until the others have had theirs, and the next turn begins.
    pub fn is_over(&mut self, bytes: usize) -> bool {
        self.used += 1 + bytes / BYTES;
        let is_over = self.used >= BUDGET;
        if is_over {
            self.used = 0;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(messages: usize, bytes: usize) -> usize {
        let mut turn = Turn::default();
        (0..messages).filter(|_| turn.is_over(bytes)).count()
    }

    #[test]
    fn a_turn_ends_after_its_messages_or_its_bytes() {
        assert_eq!(turns(BUDGET - 1, 0), 0);
        assert_eq!(turns(BUDGET * 10, 0), 10);
        assert_eq!(turns(10, BUDGET * BYTES), 10);
        assert_eq!(turns(BUDGET, BYTES), 2);
    }
}
