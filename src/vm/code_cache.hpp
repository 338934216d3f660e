// Compiled code on disk. Included by vm only.
#pragma once

#include "base/bytes.hpp"
#include "vm/module.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace polis::vm {

/// One file per code hash and options. Any thread. Nothing here fails: what cannot be read or written is as if it were
/// absent.
class CodeCache {
public:
   /// engine: names the engine's version and settings; code of another is ignored. dir empty: keeps nothing.
   CodeCache(std::filesystem::path dir, std::string engine);

   std::optional<Bytes> load(const CodeHash& hash, const Options& options) const;
   void save(const CodeHash& hash, const Options& options, ByteView compiled) const;

private:
   std::filesystem::path file(const CodeHash& hash, const Options& options) const;
   Bytes header(const CodeHash& hash, const Options& options, ByteView compiled) const;

   std::filesystem::path dir_;
   std::string engine_;
};

} // namespace polis::vm
