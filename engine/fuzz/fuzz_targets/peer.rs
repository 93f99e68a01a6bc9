//! See `ringkeeper_engine_fuzz::peer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ringkeeper_engine_fuzz::peer::run(data);
});
