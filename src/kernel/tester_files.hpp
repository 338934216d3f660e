// What a test program finds of the machine around it: WASI preview 1 as far as tests use it, over the host's files.
// Source: spec, kernel §9.
#pragma once

#include "vm/program.hpp"

#include <memory>
#include <string>
#include <vector>

namespace polis::kernel {

/// The functions of `wasi_snapshot_preview1`. Files below / are open to the program, which its owner trusts.
/// args: the program's name first. environment: NAME=value.
std::vector<vm::ProgramFunction> wasiFunctions(std::vector<std::string> args, std::vector<std::string> environment);

} // namespace polis::kernel
