// What a test program finds of the machine around it: WASI preview 1 as far as tests use it, over the host's files.
// Source: spec, kernel §9.
#pragma once

#include "vm/program.hpp"

#include <memory>
#include <string>
#include <vector>

namespace polis::kernel {

/// Which files of the machine a program sees, beside standard input and output.
enum class FilesSeen {
   all, ///< what is below /, as its owner may: of a program that is trusted
   none
};

/// The functions of `wasi_snapshot_preview1`.
/// args: the program's name first. environment: NAME=value.
std::vector<vm::ProgramFunction> wasiFunctions(std::vector<std::string> args, std::vector<std::string> environment,
                                               FilesSeen seen = FilesSeen::all);

} // namespace polis::kernel
