//! Answers that are asked for again and again: ten thousand tasks wait in a few hundred places.

use std::sync::RwLock;

use hashbrown::HashMap;

/// Answers that are kept. More addresses than the stacks of one machine hold; beyond, all are
/// forgotten and learned anew.
const MAX_ANSWERS: usize = 1 << 16;

/// Answers by address or offset.
#[derive(Debug)]
pub(super) struct Memo<K, V>(RwLock<HashMap<K, V>>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Memo(RwLock::default())
    }
}

impl<K: std::hash::Hash + Eq, V: Clone> Memo<K, V> {
    /// The answer known of `key`, else what `ask` says. Two may ask at once; both get an answer.
    pub(super) fn get(&self, key: K, ask: impl FnOnce() -> V) -> V {
        if let Some(known) = self.0.read().unwrap_or_else(|error| error.into_inner()).get(&key) {
            return known.clone();
        }
        let answer = ask();
        let mut answers = self.0.write().unwrap_or_else(|error| error.into_inner());
        if answers.len() >= MAX_ANSWERS {
            answers.clear();
        }
        answers.insert(key, answer.clone());
        answer
    }
}
