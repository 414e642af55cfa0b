//! Loops compiled twice: for any processor, and for those with wide registers, chosen when they run.

/// Defines a function whose body is compiled for AVX2 as well. The body must be plain loops over slices: the compiler
/// turns them into vector instructions. Both give the same bits, since nothing is contracted or reordered.
macro_rules! wide {
    ($(#[$note:meta])* $shown:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$note])*
        $shown fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn plain($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn vector($($argument: $type),*) $(-> $result)? {
                    plain($($argument),*)
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has what the function was compiled for.
                    return unsafe { vector($($argument),*) };
                }
            }
            plain($($argument),*)
        }
    };
}

pub(crate) use wide;
