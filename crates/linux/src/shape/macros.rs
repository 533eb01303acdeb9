//! The notation in which shapes are declared.
//!
//! ```text
//! shapes! {
//!     /// A task.
//!     Task = "task_struct" for ps bt {                // a tag, older tags after |; the commands
//!         state: "__state" | "state",                 // the first that exists counts
//!         on_cpu: maybe "on_cpu",                     // some kernels rightly have none
//!         rss: array "rss_stat" | embedded "rss_stat.count",  // which form: Field::form
//!     }
//! }
//! constants! { PageKinds = "kinds of counted pages" for ps { file: "MM_FILEPAGES" } }
//! variables! { IrqTables = "tables of interrupts" for irq { table: maple "sparse_irqs" } }
//! ```

/// Declares structures.
macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident = $tag:literal $(| $other_tag:literal)* for $($command:ident)+ {
        $($field:ident : $($word:ident)* $first:literal $(| $($form:ident)* $other:literal)*),*
        $(,)?
    })*) => {
        shapes!(@count $($name)*);
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            #[allow(missing_docs)]
            pub struct $name {
                /// The structure itself: its tag and size.
                pub structure: $crate::shape::Structure,
                $(pub $field: $crate::shape::Field,)*
            }

            impl $name {
                /// Looks every member up.
                pub fn resolve(sources: &$crate::shape::Sources<'_>) -> Self {
                    let structure =
                        $crate::shape::Structure::resolve(sources, &[$tag $(, $other_tag)*]);
                    Self {
                        $($field: $crate::shape::Field::resolve(
                            sources,
                            &structure,
                            &[
                                shapes!(@alternative [$($word)*] $first)
                                $(, shapes!(@alternative [$($form)*] $other))*
                            ],
                            shapes!(@optional $($word)*),
                        ),)*
                        structure,
                    }
                }

                /// Bytes of the structure.
                ///
                /// # Errors
                /// This kernel has no such type.
                pub fn sizeof(&self) -> $crate::Result<u64> {
                    self.structure.size()
                }

                /// The structure at virtual address `address`: its members by name.
                pub fn at<'a>(
                    &'a self,
                    target: &'a necropsy_machine::Target,
                    address: u64,
                ) -> $crate::shape::At<'a, Self> {
                    $crate::shape::At { shape: self, target, address }
                }

                pub(super) fn describe(&self) -> $crate::shape::Described {
                    $crate::shape::Described {
                        name: self.structure.tag(),
                        kind: $crate::shape::ShapeKind::Structure(self.structure.size().ok()),
                        needed_by: &[$(stringify!($command)),+],
                        parts: vec![$(self.$field.part()),*],
                    }
                }
            }

            /// The members as unsigned numbers. An error names the member.
            #[allow(missing_docs, clippy::missing_errors_doc, clippy::len_without_is_empty)]
            impl $crate::shape::At<'_, $name> {
                $(pub fn $field(&self) -> $crate::Result<u64> {
                    self.shape.$field.read(self.target, self.address)
                })*
            }
        )*
    };
    (@count $($name:ident)*) => {
        /// How many shapes this file declares: the list must hold all of them.
        pub(super) const COUNT: usize = [$(stringify!($name)),*].len();
    };
    (@optional maybe $($form:ident)*) => { true };
    (@optional $($form:ident)*) => { false };
    (@alternative [maybe $($form:ident)*] $name:literal) => {
        shapes!(@alternative [$($form)*] $name)
    };
    (@alternative [$($form:ident)*] $name:literal) => {
        $crate::shape::Alternative { form: shapes!(@form $($form)*), name: $name }
    };
    (@form) => { $crate::shape::Form::Any };
    (@form array) => { $crate::shape::Form::Array };
    (@form embedded) => { $crate::shape::Form::Embedded };
    (@form pointer) => { $crate::shape::Form::Pointer };
    (@form structs) => { $crate::shape::Form::Structs };
    (@form numbers) => { $crate::shape::Form::Numbers };
    (@form maple) => { $crate::shape::Form::Maple };
    (@form radix) => { $crate::shape::Form::Radix };
    (@form table) => { $crate::shape::Form::Table };
    (@form ring) => { $crate::shape::Form::Ring };
    (@form records) => { $crate::shape::Form::Records };
    (@form text) => { $crate::shape::Form::Text };
    (@form flag) => { $crate::shape::Form::Flag };
    (@form kind) => { $crate::shape::Form::Kind };
}

/// Declares a group of constants or variables: each becomes a field of its own.
macro_rules! named_group {
    ($of:ident $kind:ident; $(#[$doc:meta])* $name:ident = $title:literal
        for $($command:ident)+ {
        $($field:ident : $($word:ident)* $first:literal $(| $($form:ident)* $other:literal)*),*
        $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        #[allow(missing_docs)]
        pub struct $name {
            $(pub $field: $crate::shape::$of,)*
        }

        impl $name {
            /// Looks all of them up.
            pub fn resolve(sources: &$crate::shape::Sources<'_>) -> Self {
                Self {
                    $($field: $crate::shape::$of::resolve(
                        sources,
                        &[
                            shapes!(@alternative [$($word)*] $first)
                            $(, shapes!(@alternative [$($form)*] $other))*
                        ],
                        shapes!(@optional $($word)*),
                    ),)*
                }
            }

            pub(super) fn describe(&self) -> $crate::shape::Described {
                $crate::shape::Described {
                    name: $title,
                    kind: $crate::shape::ShapeKind::$kind,
                    needed_by: &[$(stringify!($command)),+],
                    parts: vec![$(self.$field.part()),*],
                }
            }
        }
    };
}

/// Declares constants of enums.
macro_rules! constants {
    ($($group:tt)*) => { named_group! { Constant Constants; $($group)* } };
}

/// Declares variables.
macro_rules! variables {
    ($($group:tt)*) => { named_group! { Variable Variables; $($group)* } };
}

/// Collects the shapes of all files: `file { field: Shape, … }`. A shape that its file declares
/// and that is not in the list does not compile; constants and variables come after a `;`.
macro_rules! all_shapes {
    ($($module:ident { $($field:ident : $shape:ident),* $(; $($other:ident : $group:ident),*)? })*) => {
        $(
            mod $module;
            pub use $module::*;
            const _: () = assert!(
                [$(stringify!($field)),*].len() == $module::COUNT,
                "a shape is declared and not listed"
            );
        )*

        /// Every shape, resolved against one kernel.
        #[derive(Debug, Clone)]
        #[allow(missing_docs)]
        pub struct Shapes {
            $($(pub $field: $shape,)* $($(pub $other: $group,)*)?)*
        }

        impl Shapes {
            /// Looks everything up.
            pub fn resolve(sources: &$crate::shape::Sources<'_>) -> Self {
                Shapes {
                    $(
                        $($field: $shape::resolve(sources),)*
                        $($($other: $group::resolve(sources),)*)?
                    )*
                }
            }

            /// Every shape with its parts: what `doctor` prints.
            pub fn all(&self) -> Vec<$crate::shape::Described> {
                vec![$(
                    $(self.$field.describe(),)*
                    $($(self.$other.describe(),)*)?
                )*]
            }
        }
    };
}
