// The native signature check agrees with the service that it stands for.
#include "format/keys.hpp"
#include "kernel/native_verify.hpp"
#include "kernel/test/test_chain.hpp"

#include <random>

namespace polis::kernel {

namespace {

Bytes arguments(ByteView key, const format::Checksum256& hash, ByteView proof) {
   return format::pack(format::VerifyArgs{hash, {"verify"_a, toBytes(key)}, toBytes(proof)});
}

/// Good ones of both curves and forms, and each with something wrong.
std::vector<Bytes> cases(unsigned rounds) {
   std::mt19937 random(1);
   std::vector<Bytes> out;
   for (unsigned i = 0; i < rounds; ++i) {
      const auto key = format::PrivateKey::generate(i % 2 ? format::Curve::p256 : format::Curve::k1);
      const auto hash = format::sha256(std::to_string(i));
      const auto proof = key.sign(hash);
      const Bytes spki = key.publicKey().spki(i % 3 ? format::PointForm::compressed : format::PointForm::uncompressed);
      out.push_back(arguments(spki, hash, proof));
      out.push_back(arguments(spki, format::sha256("other"), proof));
      Bytes changed(proof.begin(), proof.end());
      changed[random() % changed.size()] ^= static_cast<std::uint8_t>(1 + random() % 255);
      out.push_back(arguments(spki, hash, changed));
      out.push_back(arguments(spki, hash, ByteView(proof).first(63)));
      out.push_back(arguments(spki, hash, Bytes(64)));
      out.push_back(arguments(spki, hash, Bytes(64, 0xFF)));
      Bytes wrongKey = spki;
      wrongKey[random() % wrongKey.size()] ^= static_cast<std::uint8_t>(1 + random() % 255);
      out.push_back(arguments(wrongKey, hash, proof));
      out.push_back(arguments(ByteView(spki).first(spki.size() - 1), hash, proof));
      out.push_back(arguments({}, hash, proof));
      // High s is accepted.
      out.push_back(arguments(spki, hash, proof));
   }
   out.push_back({});
   out.push_back({1, 2, 3});
   return out;
}

} // namespace

TEST(NativeVerify, verdicts) {
   const auto key = format::PrivateKey::generate();
   const auto hash = format::sha256("text");
   const auto proof = key.sign(hash);
   const Bytes spki = key.publicKey().spki();
   EXPECT_EQ(verifySignature(arguments(spki, hash, proof)), Verdict::good);
   EXPECT_EQ(verifySignature(arguments(key.publicKey().spki(format::PointForm::uncompressed), hash, proof)),
             Verdict::good);
   EXPECT_EQ(verifySignature(arguments(spki, format::sha256("x"), proof)), Verdict::badSignature);
   EXPECT_EQ(verifySignature(arguments(spki, hash, {})), Verdict::badSignature);
   EXPECT_EQ(verifySignature(arguments({}, hash, {})), Verdict::badSignature); // in the service's order
   EXPECT_EQ(verifySignature(arguments({}, hash, proof)), Verdict::badKey);
   EXPECT_EQ(verifySignature(Bytes{1}), Verdict::unknown);
}

class NativeVerifyTest : public ChainTest {
protected:
   /// A chain whose verify service is the given code; natively answered or not.
   void chainWith(const Bytes& code, bool native) {
      closeKernel();
      std::filesystem::remove_all(folder);
      std::filesystem::create_directories(folder);
      options.verifySigCode = {format::sha256(ByteView(code))};
      options.fastPaths = native;
      openKernel();
      auto data = genesisData();
      for (auto& s : data.services)
         if (s.service == verify)
            s.code = code;
      const auto trace = kernel->pushBoot({transaction({{{}, {}, {}, format::pack(data)}})}, "prod"_a, time);
      ASSERT_TRUE(trace && !trace->error);
   }
   std::uint64_t counter(std::string_view name) const {
      for (const auto& [key, value] : kernel->counters())
         if (key == name)
            return value;
      return 0;
   }
};

CHAIN_TEST(NativeVerifyTest, switchedByCodeHash) {
   // The puppet accepts proofs that begin with 'y'; where it is taken for verify-sig, OpenSSL decides instead.
   const auto key = format::PrivateKey::generate();
   const auto hash = format::sha256("text");
   const Action good{{}, verify, "verifySys"_m, arguments(key.publicKey().spki(), hash, key.sign(hash))};
   const Action puppets{{}, verify, "verifySys"_m, arguments({}, hash, Bytes(64, 'y'))};
   chainWith(puppetCode(), true);
   EXPECT_FALSE(kernel->runAction(format::RunMode::verify, good).error);
   EXPECT_EQ(kernel->runAction(format::RunMode::verify, puppets).error,
             "service 'verify' aborted with message: invalid public key");
   EXPECT_EQ(counter("verified_natively"), 2u);
   chainWith(puppetCode(), false);
   EXPECT_FALSE(kernel->runAction(format::RunMode::verify, puppets).error);
   EXPECT_EQ(counter("verified_natively"), 0u);
   // Other methods and other modes run in wasm.
   chainWith(puppetCode(), true);
   EXPECT_EQ(run(format::RunMode::verify, verify, Program().count()), "");
   EXPECT_EQ(counter("verified_natively"), 0u);
}

CHAIN_TEST(NativeVerifyTest, agreesWithTheService) {
   Bytes code;
   for (const char* build : {"wasm", "user-wasm", "sdk-wasm"})
      if (code.empty())
         code = readWhole(std::filesystem::path(POLIS_SOURCE_DIR) / "build" / build /
                          "auth-sig/AuthSig.stage/service/verify-sig.wasm");
   if (code.empty())
      GTEST_SKIP() << "verify-sig is not built";
   const auto all = cases(6);
   const auto verdicts = [&](bool native) {
      chainWith(code, native);
      std::vector<std::optional<std::string>> out;
      for (const Bytes& args : all) {
         const auto trace = kernel->runAction(format::RunMode::verify, {{}, verify, "verifySys"_m, args});
         EXPECT_EQ(trace.actionTraces.at(0).error, trace.error);
         EXPECT_TRUE(trace.actionTraces.at(0).rawRetval.empty());
         EXPECT_TRUE(trace.actionTraces.at(0).innerTraces.empty());
         out.push_back(trace.error);
      }
      EXPECT_EQ(counter("verified_natively") > 0, native);
      return out;
   };
   const auto inWasm = verdicts(false);
   EXPECT_EQ(verdicts(true), inWasm);
   EXPECT_FALSE(inWasm.at(0));
   EXPECT_TRUE(inWasm.at(1));
}

} // namespace polis::kernel
