// A fuzz target without the fuzzer: every file of its corpus, then mutations of them, the same ones each time.
// Longer runs: scripts/fuzz SECONDS TARGET.
#include "base/bytes.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

#ifndef POLIS_FUZZ_ROUNDS
#define POLIS_FUZZ_ROUNDS 20'000 // mutations
#endif

namespace polis {
namespace {

namespace fs = std::filesystem;

std::vector<Bytes> corpus() {
   std::vector<fs::path> files;
   for (const auto& entry : fs::directory_iterator(fs::path(POLIS_SOURCE_DIR) / "tests/fuzz" / POLIS_FUZZ_TARGET))
      files.push_back(entry.path());
   std::ranges::sort(files);
   std::vector<Bytes> inputs;
   for (const fs::path& file : files) {
      std::ifstream in(file, std::ios::binary);
      const std::string text(std::istreambuf_iterator<char>(in), {});
      inputs.emplace_back(text.begin(), text.end());
   }
   return inputs;
}

void mutate(Bytes& bytes, const std::vector<Bytes>& others, Random& random) {
   const std::size_t at = random.next64() % (bytes.size() + 1);
   const auto here = bytes.begin() + static_cast<std::ptrdiff_t>(at);
   switch (random.next64() % 5) {
   case 0:
      if (at < bytes.size())
         bytes[at] = static_cast<std::uint8_t>(random.next64());
      break;
   case 1:
      if (at < bytes.size())
         bytes[at] = static_cast<std::uint8_t>(bytes[at] + random.next64() % 9 - 4);
      break;
   case 2:
      bytes.insert(here, static_cast<std::uint8_t>(random.next64() % 3));
      break;
   case 3:
      bytes.erase(here,
                  here + static_cast<std::ptrdiff_t>(std::min<std::size_t>(random.next64() % 9, bytes.size() - at)));
      break;
   default: {
      const Bytes& other = others[random.next64() % others.size()];
      const std::size_t from = random.next64() % (other.size() + 1);
      const std::size_t size = std::min<std::size_t>(random.next64() % 64, other.size() - from);
      bytes.insert(here, other.begin() + static_cast<std::ptrdiff_t>(from),
                   other.begin() + static_cast<std::ptrdiff_t>(from + size));
      break;
   }
   }
}

TEST(Corpus, holdsAndSoDoItsMutations) {
   const std::vector<Bytes> inputs = corpus();
   ASSERT_GT(inputs.size(), 20u);
   for (const Bytes& input : inputs)
      LLVMFuzzerTestOneInput(input.data(), input.size());
   SeededRandom random(20'240'603);
   for (int round = 0; round < POLIS_FUZZ_ROUNDS; ++round) {
      Bytes input = inputs[random.next64() % inputs.size()];
      for (std::uint64_t changes = 1 + random.next64() % 4; changes > 0; --changes)
         mutate(input, inputs, random);
      LLVMFuzzerTestOneInput(input.data(), input.size());
   }
}

} // namespace
} // namespace polis
