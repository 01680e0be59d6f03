//! Blocks do not overlap, keep what is written to them, and are used again.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use dataforge_guest_heap::{Heap, Source};

/// Memory of the test's process, counted and bounded.
struct Counted {
    taken: Cell<usize>,
    most: usize,
}

impl Source for &Counted {
    fn more(&self, bytes: usize) -> Option<(usize, usize)> {
        let bytes = bytes.max(4096);
        self.taken.set(self.taken.get() + bytes);
        if self.taken.get() > self.most {
            return None;
        }
        // SAFETY: the size is not zero. It is never freed, as a module's memory is not.
        let memory =
            unsafe { System.alloc(Layout::from_size_align(bytes, 16).expect("it is small")) };
        Some((memory.expose_provenance(), bytes))
    }
}

fn source(most: usize) -> Counted {
    Counted { taken: Cell::new(0), most }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("the alignment is a power of two")
}

/// Pseudorandom numbers (Knuth's MMIX constants), the same on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) as usize) % bound
    }
}

#[test]
fn random_requests_keep_their_bytes() {
    let source = source(usize::MAX);
    let heap = Heap::new(&source);
    let mut random = Random(7);
    let mut live: Vec<(*mut u8, Layout, u8)> = vec![];
    for step in 0..50_000_usize {
        let mark = step as u8;
        let size = 1 << random.below(14);
        let size = size + random.below(size);
        // SAFETY: blocks are used within their layouts, and freed once.
        unsafe {
            if live.len() < 100 {
                let layout = layout(size, 1 << random.below(7));
                let block = heap.alloc(layout);
                assert_eq!(block.addr() % layout.align(), 0);
                block.write_bytes(mark, size);
                live.push((block, layout, mark));
            } else {
                let (block, old, mark) = live.swap_remove(random.below(100));
                let bytes = std::slice::from_raw_parts(block, old.size());
                assert!(bytes.iter().all(|byte| *byte == mark));
                if random.below(2) == 0 {
                    let moved = heap.realloc(block, old, size);
                    let kept = std::slice::from_raw_parts(moved, size.min(old.size()));
                    assert!(kept.iter().all(|byte| *byte == mark));
                    moved.write_bytes(mark, size);
                    live.push((moved, layout(size, old.align()), mark));
                } else {
                    heap.dealloc(block, old);
                }
            }
        }
    }
}

#[test]
fn freed_memory_is_used_again() {
    let source = source(usize::MAX);
    let heap = Heap::new(&source);
    for size in [1, 16, 100, 3000, 1, 16, 100, 3000].repeat(1000) {
        // SAFETY: the block is freed with its layout.
        unsafe { heap.dealloc(heap.alloc(layout(size, 8)), layout(size, 8)) };
    }
    assert_eq!(source.taken.get(), 4096);
}

#[test]
fn the_last_block_grows_where_it_stands() {
    let source = source(usize::MAX);
    let heap = Heap::new(&source);
    // SAFETY: the blocks are used with their layouts.
    unsafe {
        let first = heap.alloc(layout(100, 1));
        assert_eq!(heap.realloc(first, layout(100, 1), 2000), first);
        let second = heap.alloc(layout(100, 1));
        assert!(second.addr() >= first.addr() + 2000);
        assert_ne!(heap.realloc(first, layout(2000, 1), 3000), first);
    }
}

#[test]
fn the_end_of_memory_is_told() {
    let source = source(8192);
    let heap = Heap::new(&source);
    // SAFETY: no block is used.
    unsafe {
        assert!(!heap.alloc(layout(8000, 1)).is_null());
        assert!(heap.alloc(layout(8000, 1)).is_null());
        assert!(heap.alloc(layout(1 << 32, 1)).is_null());
    }
}
