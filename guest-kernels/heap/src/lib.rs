//! An allocator for guest kernels: blocks of fixed sizes, kept by size when they are freed.
//!
//! A kernel's instance lives for one call, and its memory goes with it. So nothing is given back to
//! the host and neighbours are never joined: a freed block waits for the next request of its size.
//! To allocate and to free take a few instructions, where the allocator of `std` for this target
//! searches trees; memory in use grows to at most what each size needed at its worst moment, each
//! block at most a quarter larger than asked for (under 256 bytes: by at most 15 bytes).
//!
//! [`Heap`] is chosen by one line in a kernel, `dataforge_guest_heap::global!();`, which means
//! nothing on other targets. It is apart from `dataforge-kernel-sdk`, which published kernels link.
//!
//! Invariants: there is one thread. A block of a size belongs to that size for ever. Its address is
//! a multiple of 16. What asks for a wider alignment is never used again: nothing here does.

mod classes;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr;

use classes::{CLASSES, Class};

/// Alignment of every block.
const ALIGN: usize = 16;

/// Makes [`Heap`] the allocator of a kernel when it is built for WebAssembly.
#[macro_export]
macro_rules! global {
    () => {
        #[cfg(target_arch = "wasm32")]
        #[global_allocator]
        static HEAP: $crate::Heap<$crate::Pages> = $crate::Heap::new($crate::Pages);
    };
}

/// Where memory comes from.
pub trait Source {
    /// At least `bytes` of memory that nobody uses, for ever: its address, a multiple of 16, and
    /// its size, or None if there is no more.
    fn more(&self, bytes: usize) -> Option<(usize, usize)>;
}

/// The linear memory of a module, page by page.
#[cfg(target_arch = "wasm32")]
pub struct Pages;

#[cfg(target_arch = "wasm32")]
impl Source for Pages {
    fn more(&self, bytes: usize) -> Option<(usize, usize)> {
        const PAGE: usize = 65_536;
        // To grow is a call of the host. It asks for more than is needed only while there is.
        const USUAL: usize = 16;
        let needed = bytes.div_ceil(PAGE);
        [needed.max(USUAL), needed].into_iter().find_map(|pages| {
            let before = std::arch::wasm32::memory_grow::<0>(pages);
            (before != usize::MAX).then(|| (before * PAGE, pages * PAGE))
        })
    }
}

/// The allocator; see the module for what it promises.
pub struct Heap<S> {
    source: S,
    state: UnsafeCell<State>,
}

struct State {
    /// What is left of the memory got last: the next block starts at `next`.
    next: usize,
    end: usize,
    /// The freed blocks of each class: the first; each holds the address of the one behind it.
    free: [usize; CLASSES],
}

#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
compile_error!("this allocator is for modules of one thread");

// SAFETY: kernels have one thread; a test that shares a heap between threads would be wrong.
unsafe impl<S> Sync for Heap<S> {}

impl<S> Heap<S> {
    /// An empty heap.
    pub const fn new(source: S) -> Self {
        let state = State { next: 0, end: 0, free: [0; CLASSES] };
        Self { source, state: UnsafeCell::new(state) }
    }
}

impl State {
    /// Cuts a block off the memory that is left, asking for more where it is too little.
    #[inline]
    fn cut(&mut self, source: &impl Source, bytes: usize) -> Option<usize> {
        if bytes > self.end - self.next {
            self.refill(source, bytes)?;
        }
        let block = self.next;
        self.next += bytes;
        Some(block)
    }

    #[cold]
    fn refill(&mut self, source: &impl Source, bytes: usize) -> Option<()> {
        let (start, size) = source.more(bytes)?;
        // The remainder is lost unless what came lies right behind it.
        if start != self.end {
            self.next = start;
        }
        self.end = start + size;
        Some(())
    }
}

// SAFETY: a block is handed out whole, once, until it is freed: it is cut off memory that is not
// used yet, or taken off the list of its class, which it joined when it was freed. Its size is that
// of its class, at least what was asked for, and its address is a multiple of its alignment.
unsafe impl<S: Source> GlobalAlloc for Heap<S> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: there is one thread, and no method calls another while it holds the state.
        let state = unsafe { &mut *self.state.get() };
        let Some(class) = Class::of(layout.size()) else { return ptr::null_mut() };
        if layout.align() > ALIGN {
            let Some(bytes) = class.bytes.checked_add(layout.align()) else {
                return ptr::null_mut();
            };
            let block = state.cut(&self.source, bytes.next_multiple_of(ALIGN));
            return block.map_or(ptr::null_mut(), |at| {
                ptr::with_exposed_provenance_mut(at.next_multiple_of(layout.align()))
            });
        }
        let first = state.free[class.index];
        if first != 0 {
            let block = ptr::with_exposed_provenance_mut::<u8>(first);
            // SAFETY: a block on a list is not used, and holds the address that `dealloc` wrote.
            state.free[class.index] = unsafe { block.cast::<usize>().read() };
            return block;
        }
        state
            .cut(&self.source, class.bytes)
            .map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = Class::of(layout.size()) else { return };
        if layout.align() > ALIGN {
            return;
        }
        // SAFETY: there is one thread, and no method calls another while it holds the state.
        let state = unsafe { &mut *self.state.get() };
        // SAFETY: the caller gives up the block, which has room for an address.
        unsafe { block.cast::<usize>().write(state.free[class.index]) };
        state.free[class.index] = block.expose_provenance();
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (Some(old), Some(new)) = (Class::of(layout.size()), Class::of(size)) else {
            return ptr::null_mut();
        };
        if layout.align() <= ALIGN {
            if old.index == new.index {
                return block;
            }
            // SAFETY: there is one thread, and no method calls another while it holds the state.
            let state = unsafe { &mut *self.state.get() };
            let at = block.expose_provenance();
            if at + old.bytes == state.next && new.bytes <= state.end - at {
                state.next = at + new.bytes;
                return block;
            }
        }
        // SAFETY: alignments are powers of two, and the caller vouches for the size.
        let layout_of_new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller's promises for `block` are those that the three calls ask for.
        unsafe {
            let moved = self.alloc(layout_of_new);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
