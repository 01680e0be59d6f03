//! The real library gives the digest of the reference engine, on one thread and on several.

use dataforge_engine::{Options, Runtime};

#[test]
fn kat() {
    let path = std::env::var("ORT_DYLIB_PATH").unwrap();
    for threads in [1, 2] {
        let r = Runtime::load_untested(path.as_ref(), Options { threads }).unwrap();
        let a = r.known_answer().unwrap();
        println!("{}", r.build_info());
        assert_eq!(a.found, a.expected);
    }
}
