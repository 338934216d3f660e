// The vectors of formats, run by the library as a service has it: compiled to WebAssembly, on libc++, without
// exceptions. `polis test format_vectors.wasm FILE…` names each case that fails and ends with the count. Signing keys
// belong to the node only, so that a file of those is passed over.
#include "format/vectors.hpp"

#include <cstdio>
#include <string>

namespace {

bool readFile(const char* path, std::string& out) {
   std::FILE* file = std::fopen(path, "rb");
   if (!file)
      return false;
   char buffer[4096];
   for (std::size_t size; (size = std::fread(buffer, 1, sizeof buffer, file)) > 0;)
      out.append(buffer, size);
   std::fclose(file);
   return true;
}

} // namespace

int main(int argc, char** argv) {
   unsigned passed = 0, failed = 0, skipped = 0;
   for (int i = 1; i < argc; ++i) {
      std::string text;
      if (!readFile(argv[i], text)) {
         std::printf("%s: cannot be read\n", argv[i]);
         ++failed;
         continue;
      }
      const polis::format::VectorReport report = polis::format::checkVectors(text);
      if (report.form == "signatures") {
         std::printf("skipped: %s\n", argv[i]);
         ++skipped;
         continue;
      }
      for (const std::string& failure : report.failures)
         std::printf("%s: %s\n", argv[i], failure.c_str());
      passed += report.passed;
      failed += static_cast<unsigned>(report.failures.size());
   }
   std::printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
   return failed ? 1 : 0;
}
