//! Stacks of amd64 kernels: built with frame pointers, and with arguments saved on entry
//! (`-msave-args`).

use hashbrown::{HashMap, HashSet};
use necropsy_debuginfo::Type;
use necropsy_disasm::{Isa, decode};
use std::sync::Mutex;

use crate::{Kernel, Result, thread::TS_LOAD};

/// Most frames of one stack.
const MAX_FRAMES: usize = 1000;
/// Largest stack that is searched.
const MAX_STACK: u64 = 1 << 20;
/// Bytes at the start of a function in which arguments are saved.
const PROLOGUE: usize = 128;
/// Registers that carry arguments.
const ARGUMENT_REGISTERS: usize = 6;

/// Registers by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registers(pub Vec<(String, u64)>);

impl Registers {
    /// A register.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|(found, _)| found == name).map(|&(_, value)| value)
    }
}

/// A function that has not returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its frame pointer.
    pub fp: u64,
    /// Where it goes on.
    pub pc: u64,
    /// Its arguments, where the compiler saved them.
    pub args: Vec<u64>,
}

/// What a search of a thread's stack found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundStack {
    /// The stack pointer that leads to the frames.
    pub sp: u64,
    /// Where the thread goes on; none for one that panicked.
    pub pc: Option<u64>,
    /// The thread's state.
    pub state: u64,
    /// Whether it panicked.
    pub panicked: bool,
    /// Return addresses, the innermost first.
    pub pcs: Vec<u64>,
}

/// Why no stack was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoStack {
    /// In words, without brackets.
    Because(String),
    /// None is consistent: what might be a stack pointer, and how many frames it leads to.
    Candidates(Vec<(u64, usize)>),
}

impl NoStack {
    /// In words.
    pub fn text(&self) -> &str {
        match self {
            NoStack::Because(text) => text,
            NoStack::Candidates(_) => "no consistent stack found",
        }
    }
}

/// Which functions save their arguments: asked for over and over.
#[derive(Debug, Default)]
pub struct SavedArguments(Mutex<HashMap<u64, usize>>);

impl Kernel {
    /// Frames from a frame pointer on; `pc` is where the innermost function stands, if known.
    pub fn frames(&self, fp: u64, pc: Option<u64>, saved: &SavedArguments) -> Vec<Frame> {
        let mut frames = Vec::new();
        // A call of a null pointer is a frame, too: the last one.
        if pc == Some(0) {
            frames.push(Frame { fp, pc: 0, args: Vec::new() });
        }
        let (mut fp, mut pc) = (fp, pc.unwrap_or(0));
        let mut seen = HashSet::new();
        while fp != 0 && fp % 8 == 0 && frames.len() < MAX_FRAMES && seen.insert(fp) {
            let (Ok(next_fp), Ok(next_pc)) = (self.read_u64(fp), self.read_u64(fp.wrapping_add(8)))
            else {
                // The innermost one is told even if its frame is gone.
                if pc != 0 {
                    frames.push(Frame { fp, pc, args: Vec::new() });
                }
                break;
            };
            if pc != 0 {
                frames.push(Frame { fp, pc, args: self.arguments(fp, pc, saved) });
            }
            fp = next_fp;
            pc = next_pc;
            if pc == 0 {
                break;
            }
        }
        frames
    }

    /// The frames of the panic.
    pub fn panic_frames(&self, saved: &SavedArguments) -> Vec<Frame> {
        let registers = self.panic_registers();
        self.frames(registers.get("rbp").unwrap_or(0), registers.get("rip"), saved)
    }

    /// The arguments of the function that `pc` stands in, which has the frame at `fp`.
    fn arguments(&self, fp: u64, pc: u64, saved: &SavedArguments) -> Vec<u64> {
        let Some(function) = self.symbol_at(pc).map(|found| found.address) else {
            return Vec::new();
        };
        let known = saved.0.lock().unwrap_or_else(|e| e.into_inner()).get(&function).copied();
        let packed = known.unwrap_or_else(|| {
            let found =
                self.saved_arguments(function).map_or(0, |(count, start)| count << 1 | start);
            saved.0.lock().unwrap_or_else(|e| e.into_inner()).insert(function, found);
            found
        });
        let (count, start) = (packed >> 1, packed & 1);
        let in_registers = count.min(ARGUMENT_REGISTERS - start);
        // Those that did not fit in registers lie above the return address.
        let place = |index: usize| match index.checked_sub(in_registers) {
            None => fp.wrapping_sub(8 * (index + start + 1) as u64),
            Some(beyond) => fp.wrapping_add(16 + 8 * beyond as u64),
        };
        (0..count).map_while(|index| self.read_u64(place(index)).ok()).collect()
    }

    /// How many arguments a function has, if all that come in registers are saved below the frame
    /// pointer in order; and 1 if the first register carries where the result is to go.
    fn saved_arguments(&self, function: u64) -> Option<(usize, usize)> {
        let types = self.types();
        let ty = self.function_type(function)?;
        let Type::Function { result, params, .. } = types.get(ty) else { return None };
        let start = usize::from(matches!(types.resolve(*result), Type::Composite(_)));
        let count = params.len();
        if count == 0 {
            return None;
        }
        let size = match self.symbol_at(function)?.size {
            0 => PROLOGUE,
            size => (size as usize).min(PROLOGUE),
        };
        let code = self.read_bytes(function, size as u64).ok()?;
        let wanted = (count + start).min(ARGUMENT_REGISTERS);
        (start..wanted).all(|index| saves(&code, index)).then_some((count, start))
    }

    /// The stack of a thread, as `::findstack` looks for it.
    ///
    /// # Errors
    /// The thread cannot be read. The inner result says that there is no stack, and why.
    pub fn find_stack(&self, thread: u64) -> Result<std::result::Result<FoundStack, NoStack>> {
        let shape = &self.shapes().thread;
        let because = |text: &str| Ok(Err(NoStack::Because(text.into())));
        let state = shape.state.get(self, thread)?;
        let (base, mut top) = (shape.stkbase.get(self, thread)?, shape.stk.get(self, thread)?);
        let saved = self.saved_registers(thread)?;
        let panicked = self.pointer("panic_thread").ok() == Some(thread);
        if shape.schedflag.get(self, thread)? & TS_LOAD == 0 {
            return because("thread not in memory");
        }
        if top < base {
            return because("thread structure stack info corrupt");
        }
        if top - base > MAX_STACK {
            return because("thread stack too big");
        }
        if top % 16 != 0 {
            top -= 8;
        }
        let stack = Stack { kernel: self, base, top };
        let found = |sp, pcs| {
            let pc = (!panicked).then_some(saved[0]).filter(|&pc| pc != 0);
            Ok(Ok(FoundStack { sp, pc, state, panicked, pcs }))
        };
        let mut visited = HashSet::new();
        if let Crawl::Whole(pcs) = stack.crawl(saved[1], &mut visited) {
            return found(saved[1], pcs);
        }
        // The saved pointer leads nowhere: each word may be a frame pointer.
        let mut candidates = Vec::new();
        let mut at = base;
        while at < top {
            if !visited.contains(&at) {
                match stack.crawl(at, &mut visited) {
                    Crawl::Whole(pcs) if candidates.is_empty() && pcs.len() > 2 => {
                        return found(at, pcs);
                    }
                    Crawl::Whole(pcs) | Crawl::Broken(pcs) => {
                        if pcs.len() > 2 {
                            candidates.push((at, pcs.len()));
                        }
                    }
                }
            }
            at += 8;
        }
        Ok(Err(NoStack::Candidates(candidates)))
    }
}

/// Whether code saves the argument register of that number where `-msave-args` does: with a move
/// to its place below the frame pointer, or by pushes in order.
fn saves(code: &[u8], index: usize) -> bool {
    const MOVES: [[u8; 3]; ARGUMENT_REGISTERS] = [
        [0x48, 0x89, 0x7d],
        [0x48, 0x89, 0x75],
        [0x48, 0x89, 0x55],
        [0x48, 0x89, 0x4d],
        [0x4c, 0x89, 0x45],
        [0x4c, 0x89, 0x4d],
    ];
    const PUSHES: [&[u8]; ARGUMENT_REGISTERS] =
        [&[0x57], &[0x56], &[0x52], &[0x51], &[0x41, 0x50], &[0x41, 0x51]];
    let place = (-8 * (index as i32 + 1)) as i8 as u8;
    let mut pushed = 0;
    let mut at = 0;
    let mut has_frame = false;
    while let Some(rest) = code.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(instruction) = decode(Isa::X86_64, rest, 0) else { return false };
        let bytes = &instruction.bytes[..];
        let [a, b, c] = MOVES[index];
        if bytes == [a, b, c, place] {
            return has_frame;
        }
        if has_frame && PUSHES.get(pushed) == Some(&bytes) {
            if pushed == index {
                return true;
            }
            pushed += 1;
        }
        has_frame |= bytes == [0x48, 0x89, 0xe5] || bytes == [0x48, 0x8b, 0xec];
        // Behind a call or a jump registers hold something else.
        if instruction.flow != necropsy_disasm::Flow::Next {
            return false;
        }
        at += instruction.len().max(1);
    }
    false
}

enum Crawl {
    Whole(Vec<u64>),
    Broken(Vec<u64>),
}

struct Stack<'a> {
    kernel: &'a Kernel,
    base: u64,
    top: u64,
}

impl Stack<'_> {
    /// Follows frame pointers up to the top of the stack.
    fn crawl(&self, frame: u64, visited: &mut HashSet<u64>) -> Crawl {
        let mut pcs = Vec::new();
        let mut own = HashSet::new();
        let mut at = frame;
        loop {
            if !at.is_multiple_of(8)
                || at < self.base
                || at > self.top.saturating_sub(16)
                || !own.insert(at)
            {
                return Crawl::Broken(pcs);
            }
            let read = |at| self.kernel.read_u64(at);
            let (Ok(fp), Ok(pc)) = (read(at), read(at + 8)) else { return Crawl::Broken(pcs) };
            visited.insert(at);
            pcs.push(pc);
            if fp == self.top || self.top.wrapping_sub(fp) == 16 {
                return Crawl::Whole(pcs);
            }
            if pcs.len() >= MAX_FRAMES {
                return Crawl::Broken(pcs);
            }
            at = fp;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::saves;

    #[test]
    fn arguments_saved_by_moves_and_by_pushes() {
        // push %rbp; mov %rsp,%rbp; mov %rdi,-0x8(%rbp); mov %rsi,-0x10(%rbp); sub $0x20,%rsp
        let moves = [
            0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0x7d, 0xf8, 0x48, 0x89, 0x75, 0xf0, 0x48, 0x83,
            0xec, 0x20,
        ];
        assert!(saves(&moves, 0) && saves(&moves, 1) && !saves(&moves, 2));
        // push %rbp; mov %rsp,%rbp; push %rdi; push %rsi
        let pushes = [0x55, 0x48, 0x89, 0xe5, 0x57, 0x56];
        assert!(saves(&pushes, 0) && saves(&pushes, 1) && !saves(&pushes, 2));
        // mov %rdi,-0x28(%rbp): another place.
        let elsewhere = [0x55, 0x48, 0x89, 0xe5, 0x48, 0x89, 0x7d, 0xd8];
        assert!(!saves(&elsewhere, 0));
    }
}
