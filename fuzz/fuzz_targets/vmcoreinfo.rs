//! VMCOREINFO's text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use necropsy_dump::VmCoreInfo;

fuzz_target!(|data: &[u8]| {
    let info = VmCoreInfo::parse(data);
    for line in info.text().lines() {
        let name = line.split(['(', ')', '=']).nth(1).unwrap_or_default();
        info.get(line.split('=').next().unwrap_or_default());
        (info.symbol(name), info.offset(name), info.size(name));
        (info.length(name), info.number(name), info.hex(name), info.page_size());
    }
});
