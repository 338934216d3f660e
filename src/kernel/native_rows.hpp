// What the kernel checks and notes when a service writes a native table.
#pragma once

#include "kernel/context.hpp"

namespace polis::kernel {

/// A put to native, nativeSubjective or nativeSession. Throws Abort when the row breaks a rule (spec, kernel §5.2).
/// key: store key.
void checkNativePut(Context& context, ByteView key, ByteView value);

/// A remove of an existing row of native (spec, kernel §7.2).
void noteNativeRemove(Context& context, ByteView key);

} // namespace polis::kernel
