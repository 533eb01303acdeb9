//! Requests to devices that tasks wait for: told by what is completed at their end, and by the pages
//! that they move.

use std::collections::HashMap;

use necropsy_linux::Kernel;

/// What requests are called, by the addresses that lead to them.
#[derive(Debug, Default)]
pub(super) struct Requests(HashMap<u64, String>);

impl Requests {
    /// Of all disks; what cannot be read is left out.
    pub(super) fn of(kernel: &Kernel) -> Requests {
        let mut names = HashMap::new();
        let (disks, _) = kernel.disks();
        for disk in disks {
            let Ok((requests, _)) = kernel.requests(&disk) else { continue };
            for request in requests {
                let (operation, address) = (&request.operation, request.address);
                let name = format!("{operation} of {}, request {address:x}", disk.name);
                let told = request.told.iter().map(|(_, private)| *private);
                for key in told.chain(request.pages.iter().copied()).filter(|key| *key != 0) {
                    names.entry(key).or_insert_with(|| name.clone());
                }
            }
        }
        Requests(names)
    }

    /// The request that ends with something at an address, or moves the page with that description.
    pub(super) fn at(&self, address: u64) -> Option<&str> {
        self.0.get(&address).map(String::as_str)
    }
}
