// Genesis, blocks, transactions, replay and restart. Rules: spec, kernel §6 and §7.
#include "format/merkle.hpp"
#include "kernel/databases.hpp"
#include "kernel/test/test_chain.hpp"
#include "store/file.hpp"
#include "vm/wat.hpp"

namespace polis::kernel {

class BlockTest : public ChainTest {
protected:
   static const format::Consensus& newest(const format::JointConsensus& consensus) {
      return consensus.next ? consensus.next->consensus : consensus.current;
   }
   /// A block in which a service makes the newest consensus the current one, and proposes producers to follow; none:
   /// nothing is pending.
   void propose(std::vector<format::Producer> producers) {
      startBlock();
      auto status = kernel->head()->status;
      status.current.time.microseconds = time;
      status.consensus.current = newest(status.consensus);
      auto next = status.consensus.current;
      const bool pending = !producers.empty();
      std::get<format::CftConsensus>(next.data).producers = std::move(producers);
      status.consensus.next.reset();
      if (pending)
         status.consensus.next = format::PendingConsensus{next, kernel->head()->num + 1};
      EXPECT_EQ(push({action(
                    alice, Program().open(db::native, {}, 2).put(0, format::StatusRow::key(), format::pack(status)))}),
                "");
   }
};

CHAIN_TEST(BlockTest, genesisGivesChain) {
   EXPECT_FALSE(kernel->hasChain());
   EXPECT_EQ(kernel->head()->num, 1u);
   boot();
   EXPECT_TRUE(kernel->hasChain());
   const auto head = kernel->head();
   EXPECT_EQ(head->num, 2u);
   EXPECT_EQ(kernel->chainId(), head->id);
   EXPECT_EQ(format::blockNumOf(head->id), 2u);
   EXPECT_EQ(head->header->previous, format::Checksum256{});
   EXPECT_EQ(head->header->commitNum, 2u);
   // Block 2 always carries authCode and newConsensus (§7.2), with the producer that had no set (§6.4).
   const auto block = kernel->block(2);
   ASSERT_TRUE(block);
   ASSERT_TRUE(block->block.header.authCode);
   ASSERT_EQ(block->block.header.authCode->size(), 1u);
   ASSERT_TRUE(block->block.header.newConsensus);
   EXPECT_EQ(block->block.header.newConsensus->services.size(), 1u);
   const auto& producers = std::get<format::CftConsensus>(block->block.header.newConsensus->data).producers;
   ASSERT_EQ(producers.size(), 1u);
   EXPECT_EQ(producers[0].name, "prod"_a);
   EXPECT_FALSE(head->header->authCode);
   EXPECT_EQ(head->status.head->header, *head->header);
   EXPECT_EQ(head->status.head->blockId, head->id);
   // status.current looks like the next block.
   auto next = *head->header;
   next.previous = head->id;
   next.blockNum = 3;
   next.time.microseconds += 1'000'000;
   EXPECT_EQ(head->status.current, next);
   // Code by account, and once by its hash.
   const auto hash = format::sha256(ByteView(puppetCode()));
   for (const auto& service : genesisData().services) {
      const CodeRow row{service.service, service.flags, hash, 0, 0};
      const auto found = head->version.get(storeKey(db::native, row.key()));
      ASSERT_TRUE(found);
      EXPECT_EQ(toBytes(*found), format::pack(row));
   }
   const format::CodeByHashRow code{hash, 0, 0, puppetCode()};
   const auto found = head->version.get(storeKey(db::native, code.key()));
   ASSERT_TRUE(found);
   EXPECT_EQ(toBytes(*found), format::pack(code));
}

CHAIN_TEST(BlockTest, headersSayWhatIsInTheState) {
   boot();
   startBlock();
   const format::Checksum256 events{1, 2, 3};
   auto status =
       *format::unpack<format::StatusRow>(*kernel->head()->version.get(storeKey(db::native, format::StatusRow::key())));
   status.current.time.microseconds = time;
   status.current.eventMerkleRoot = events;
   status.consensus.current = newest(status.consensus);
   status.consensus.next.reset();
   EXPECT_EQ(
       push({action(alice, Program().open(db::native, {}, 2).put(0, format::StatusRow::key(), format::pack(status)))}),
       "");
   EXPECT_EQ(push({action(plain, Program().call(action(plain, Program().count()), 1))}), "");
   EXPECT_FALSE(kernel->push(transaction({action(alice, Program())}, {{verify, {}}}, {toBytes("yes")})).error);
   const auto sealed = seal();
   const format::BlockHeader& header = *sealed.state->header;
   EXPECT_EQ(header.consensusState, format::sha256Of(status.consensus));
   EXPECT_EQ(header.eventMerkleRoot, events);
   // Leaves are of ids, proofs and subjective data; a tree of three has a full left half, and one leaf to the right.
   std::vector<format::Checksum256> leaves;
   for (const auto& t : sealed.block->block.transactions)
      leaves.push_back(
          format::merkleLeaf(format::TransactionInfo{format::sha256(ByteView(t.transaction.packed)),
                                                     format::sha256Of(t.proofs), format::sha256Of(*t.subjectiveData)}));
   ASSERT_EQ(leaves.size(), 4u);
   const auto node = [](const format::Checksum256& left, const format::Checksum256& right) {
      Bytes both{1};
      append(both, left);
      append(both, right);
      return format::sha256(ByteView(both));
   };
   EXPECT_EQ(header.trxMerkleRoot, node(node(leaves[0], leaves[1]), node(leaves[2], leaves[3])));
   // The id is that of the header without code, with the number in front.
   auto id = format::sha256Of(header);
   std::ranges::copy(bigEndian32(header.blockNum), id.begin());
   EXPECT_EQ(sealed.id, id);
   // No signature, and where it stands.
   EXPECT_EQ(toBytes(*sealed.state->version.get(storeKey(db::blockProof, bigEndian32(header.blockNum)))),
             format::pack(Bytes()));
}

CHAIN_TEST(BlockTest, bootRefuses) {
   EXPECT_FALSE(kernel->pushBoot({}, "prod"_a, time));
   EXPECT_FALSE(kernel->pushBoot({genesis()}, AccountNumber(), time));
   auto proven = genesis();
   proven.proofs.push_back({1});
   EXPECT_FALSE(kernel->pushBoot({proven}, "prod"_a, time));

   const auto bootError = [&](const format::GenesisActionData& data) {
      const auto trace = kernel->pushBoot({transaction({{{}, {}, {}, format::pack(data)}})}, "prod"_a, time);
      return trace ? trace->error.value_or("") : trace.error().reason;
   };
   auto data = genesisData();
   data.services[0].service = AccountNumber();
   EXPECT_NE(bootError(data), "");
   data = genesisData();
   data.services.push_back(data.services[0]);
   EXPECT_NE(bootError(data), "");
   data = genesisData();
   data.services[1].code.clear();
   EXPECT_NE(bootError(data), "");
   const auto bootRaw = [&](const Bytes& rawData) {
      const auto trace = kernel->pushBoot({transaction({{{}, {}, {}, rawData}})}, "prod"_a, time);
      return trace ? trace->error.value_or("") : trace.error().reason;
   };
   EXPECT_HAS(bootRaw(toBytes("junk")), "malformed");
   data = genesisData();
   EXPECT_HAS(bootRaw(format::pack(std::tuple(data.memo, data.services, std::optional(5u)))), "malformed"); // strict
   const auto two = kernel->pushBoot({transaction({Action{}, Action{}})}, "prod"_a, time);
   ASSERT_TRUE(two);
   EXPECT_TRUE(two->error);
   EXPECT_FALSE(kernel->hasChain());
   boot();
   EXPECT_FALSE(kernel->pushBoot({genesis()}, "prod"_a, time));
}

CHAIN_TEST(BlockTest, blockHoldsTransactions) {
   boot();
   startBlock();
   EXPECT_EQ(push({action(alice, Program().open(db::service, prefixOf(alice), 3).put(0, "k", "v"))}), "");
   EXPECT_EQ(kernel->openBlockTransactions(), 1u);
   const auto sealed = seal();
   EXPECT_EQ(sealed.block->block.transactions.size(), 2u); // startBlock first
   EXPECT_TRUE(sealed.block->block.transactions[1].subjectiveData);
   EXPECT_EQ(sealed.state->header->commitNum, 3u);
   EXPECT_EQ(kernel->head()->id, sealed.id);
   EXPECT_EQ(run(format::RunMode::rpc, alice, Program().open(db::service, prefixOf(alice), 1).get(0, "k")), "");
   auto out = runOutput();
   out.word();
   EXPECT_EQ(out.found(), "v");
   // The log holds it.
   EXPECT_EQ(kernel->block(3)->block, sealed.block->block);
   EXPECT_FALSE(kernel->block(4));
}

CHAIN_TEST(BlockTest, startBlockTransaction) {
   boot();
   startBlock();
   const auto sealed = seal();
   const auto unpacked = sealed.block->block.transactions.at(0).transaction.unpack();
   ASSERT_TRUE(unpacked);
   ASSERT_EQ(unpacked->actions.size(), 1u);
   const Action& a = unpacked->actions[0];
   EXPECT_EQ(a.sender, AccountNumber());
   EXPECT_EQ(a.service, transact);
   EXPECT_EQ(a.method, "startBlock"_m);
   EXPECT_EQ(unpacked->tapos.expiration.seconds, time / 1'000'000 + 1);
   EXPECT_EQ(unpacked->tapos.refBlockIndex, 0);
   // A reader that knows no arguments takes it as extended; ours finds the block number.
   EXPECT_EQ(format::validate<std::tuple<>>(a.rawData), format::Validity::extended);
   EXPECT_EQ(std::get<0>(*format::unpack<std::tuple<std::optional<std::uint32_t>>>(a.rawData)), 3u);
}

CHAIN_TEST(BlockTest, timeMustGrow) {
   boot();
   EXPECT_EQ(kernel->startBlock({time, "prod"_a, 0, 0}).error().reason, "block is in the past");
   EXPECT_TRUE(kernel->startBlock({time + 1, "prod"_a, 0, 0}));
   kernel->abortBlock();
   EXPECT_FALSE(kernel->blockOpen());
   EXPECT_EQ(kernel->head()->num, 2u);
}

CHAIN_TEST(BlockTest, failedTransactionIsUndone) {
   boot();
   startBlock();
   EXPECT_EQ(push({action(alice, Program().open(db::service, prefixOf(alice), 3).put(0, "a", "1"))}), "");
   const std::string error =
       push({action(alice, Program().open(db::service, prefixOf(alice), 3).put(0, "a", "2").put(0, "b", "2")),
             action(alice, Program().abort("no"))});
   EXPECT_EQ(error, "service 'alice' aborted with message: no");
   // The error stands at every enclosing level.
   ASSERT_EQ(last.actionTraces.size(), 1u);
   EXPECT_EQ(last.actionTraces[0].error, error);
   EXPECT_EQ(push({action(alice, Program().open(db::service, prefixOf(alice), 1).get(0, "a").get(0, "b"))}), "");
   auto out = output();
   out.word();
   EXPECT_EQ(out.found(), "1");
   EXPECT_EQ(out.found(), "-");
   const auto sealed = seal();
   EXPECT_EQ(sealed.block->block.transactions.size(), 3u);
}

CHAIN_TEST(BlockTest, whoUsesUpItsRoomChangesNothing) {
   closeKernel();
   options.transactionCpuNs = 20'000'000;
   openKernel();
   boot();
   const auto stays = [&] { return Program().open(db::service, prefixOf(alice), 3).put(0, "k", "v"); };
   Program handles = stays();
   for (int i = 0; i < 64; ++i)
      handles.open(db::service, prefixOf(alice), 1);
   (void)one(alice, Program());
   const auto before = kernel->head()->version.merkle(Bytes{0});
   startBlock();
   for (const auto& [program, error] : std::initializer_list<std::pair<Program, std::string_view>>{
            {handles, "Too many database handles"},
            {stays().recurse(10'000'000), "stack overflow"},
            {stays().loop(), "transaction timed out"},
            {stays().trap(), "unreachable"},
            {stays().abort("enough"), "service 'bob' aborted with message: enough"}}) {
      // Within a nested call, by a service that has written, of one that has.
      EXPECT_HAS(push({action(alice, stays().call(action(bob, program, alice)))}), error);
      ASSERT_TRUE(lastAction());
      EXPECT_HAS(lastAction()->error.value_or(""), error); // and the trace says where
   }
   (void)seal();
   EXPECT_EQ(kernel->head()->version.merkle(Bytes{0}), before);
}

CHAIN_TEST(BlockTest, refusedTransactions) {
   boot();
   startBlock();
   const auto error = [&](const format::SignedTransaction& t) { return kernel->push(t).error.value_or(""); };
   const Action fine = action(alice, Program());
   EXPECT_EQ(error(transaction({fine}, {{verify, {}}})), "proofs and claims must have same size");
   EXPECT_EQ(error(transaction({fine}, {}, {{1}})), "proofs and claims must have same size");
   auto brings = transaction({fine});
   brings.subjectiveData.emplace();
   EXPECT_NE(error(brings), "");
   format::Transaction hidden;
   hidden.tapos.flags = format::Tapos::doNotBroadcast;
   hidden.actions.push_back(fine);
   format::SignedTransaction wrapped;
   wrapped.transaction = format::Nested<format::Transaction>(hidden);
   EXPECT_NE(error(wrapped), "");
   format::SignedTransaction garbage;
   garbage.transaction = format::Nested<format::Transaction>(Bytes{1, 2, 3});
   EXPECT_EQ(error(garbage), "transaction is malformed");
   EXPECT_EQ(kernel->openBlockTransactions(), 0u);
}

CHAIN_TEST(BlockTest, proofs) {
   boot();
   startBlock();
   const Action fine = action(alice, Program());
   const auto error = [&](std::vector<format::Claim> claims, std::vector<Bytes> proofs) {
      return kernel->push(transaction({fine}, std::move(claims), std::move(proofs))).error.value_or("");
   };
   EXPECT_EQ(error({{verify, {}}}, {toBytes("yes")}), "");
   EXPECT_EQ(error({{verify, {}}, {verify, {1}}}, {toBytes("yes"), toBytes("y")}), "");
   EXPECT_NE(error({{verify, {}}}, {toBytes("no")}).find("bad proof"), std::string::npos);
   EXPECT_NE(error({{verify, {}}, {verify, {}}}, {toBytes("y"), toBytes("no")}), "");
   EXPECT_NE(error({{alice, {}}}, {toBytes("y")}).find("service account alice cannot be used in verify mode"),
             std::string::npos);
   EXPECT_NE(error({{"nobody"_a, {}}}, {toBytes("y")}).find("unknown service account: nobody"), std::string::npos);
   EXPECT_EQ(kernel->openBlockTransactions(), 2u);
}

CHAIN_TEST(BlockTest, anotherNodeFollows) {
   boot();
   std::vector<std::shared_ptr<const format::SignedBlock>> blocks;
   blocks.push_back(std::make_shared<format::SignedBlock>(*kernel->block(2)));
   for (int i = 0; i < 3; ++i) {
      startBlock();
      EXPECT_EQ(
          push({action(alice,
                       Program().open(db::service, prefixOf(alice), 3).put(0, "n", std::string(1, char('a' + i))))}),
          "");
      blocks.push_back(seal().block);
   }
   OtherNode node(folder);
   Kernel& other = node.kernel;
   for (const auto& b : blocks) {
      const auto done = other.applyBlock(b);
      ASSERT_TRUE(done) << done.error().reason;
   }
   EXPECT_EQ(other.head()->id, kernel->head()->id);
   for (const std::uint8_t database : {std::uint8_t{0}, std::uint8_t{2}})
      EXPECT_EQ(other.head()->version.merkle(Bytes{database}), kernel->head()->version.merkle(Bytes{database}));
   EXPECT_EQ(other.block(3), kernel->block(3));

   // A block that lies about any header field is refused and changes nothing.
   startBlock();
   EXPECT_EQ(push({action(alice, Program().count())}), "");
   const auto good = seal().block;
   std::string reason;
   const auto lie = [&](auto change) {
      auto bad = std::make_shared<format::SignedBlock>(*good);
      change(*bad);
      const auto applied = other.applyBlock(bad);
      reason = applied ? "" : applied.error().reason;
      return !applied;
   };
   EXPECT_TRUE(lie([](auto& b) { b.block.header.previous[5] ^= 1; }));
   EXPECT_TRUE(lie([](auto& b) { b.block.header.blockNum += 1; }));
   EXPECT_TRUE(lie([&](auto& b) { b.block.header.time.microseconds = time - 1'000'000; }));
   EXPECT_TRUE(lie([](auto& b) { b.block.header.producer = "mallory"_a; }));
   EXPECT_EQ(reason, "Invalid producer for block");
   EXPECT_TRUE(lie([](auto& b) { b.block.header.commitNum = 2; }));
   EXPECT_TRUE(lie([](auto& b) { b.block.header.consensusState[0] ^= 1; }));
   EXPECT_EQ(reason, "blockId does not match");
   EXPECT_TRUE(lie([](auto& b) { b.block.header.trxMerkleRoot[0] ^= 1; }));
   EXPECT_TRUE(lie([](auto& b) { b.block.header.eventMerkleRoot[0] ^= 1; }));
   EXPECT_TRUE(lie([](auto& b) { b.block.header.newConsensus.emplace(); }));
   EXPECT_TRUE(lie([](auto& b) { b.block.header.authCode.emplace(); }));
   EXPECT_TRUE(lie([](auto& b) { b.block.transactions.pop_back(); }));
   EXPECT_TRUE(lie([](auto& b) { b.block.transactions[1].subjectiveData.reset(); }));
   EXPECT_TRUE(lie([](auto& b) { b.block.transactions[1].subjectiveData->push_back({1}); }));
   EXPECT_TRUE(lie([](auto& b) { b.signature = {1}; }));
   EXPECT_EQ(other.head()->num, 5u);
   const auto done = other.applyBlock(good);
   EXPECT_TRUE(done) << done.error().reason;
   EXPECT_EQ(other.head()->id, kernel->head()->id);
}

CHAIN_TEST(BlockTest, forkAndSwitch) {
   boot();
   startBlock();
   EXPECT_EQ(push({action(alice, Program().open(db::service, prefixOf(alice), 3).put(0, "who", "first"))}), "");
   const auto firstId = seal().id;
   ASSERT_TRUE(kernel->switchHead(kernel->stateAt(2)->id));
   EXPECT_EQ(kernel->head()->num, 2u);
   startBlock();
   EXPECT_EQ(push({action(alice, Program().open(db::service, prefixOf(alice), 3).put(0, "who", "second"))}), "");
   EXPECT_NE(firstId, seal().id);
   const auto who = [&] {
      EXPECT_EQ(run(format::RunMode::rpc, alice, Program().open(db::service, prefixOf(alice), 1).get(0, "who")), "");
      auto out = runOutput();
      out.word();
      return out.found();
   };
   EXPECT_EQ(who(), "second");
   ASSERT_TRUE(kernel->switchHead(firstId));
   EXPECT_EQ(who(), "first");
   EXPECT_FALSE(kernel->switchHead(format::Checksum256{9}));
   reopen();
   EXPECT_EQ(kernel->head()->id, firstId);
   EXPECT_EQ(who(), "first");
}

CHAIN_TEST(BlockTest, consensusChoosesAmongExecutedBlocks) {
   using Blocks = std::vector<std::shared_ptr<const format::SignedBlock>>;
   boot();
   const auto genesisBlock = std::make_shared<const format::SignedBlock>(*kernel->block(2));
   // Two forks of two blocks each.
   const auto fork = [&](const char* name) {
      Blocks out;
      EXPECT_TRUE(kernel->switchHead(format::blockId(genesisBlock->block.header)));
      for (int i = 0; i < 2; ++i) {
         startBlock();
         EXPECT_EQ(push({action(alice, Program().open(db::service, prefixOf(alice), 3).put(0, "who", name))}), "");
         out.push_back(seal().block);
      }
      return out;
   };
   const Blocks left = fork("left"), right = fork("right");
   const auto idOf = [](const auto& block) { return format::blockId(block->block.header); };

   TestHost otherHost;
   auto otherStore = store::Store::open(folder / "other");
   auto otherJournal = store::Journal::open(folder / "otherJournal");
   auto other = std::make_unique<Kernel>(*otherStore, *otherJournal, testEngine(), otherHost, KernelOptions());
   const auto again = [&] {
      other.reset();
      otherJournal.reset();
      otherStore.reset();
      otherStore = store::Store::open(folder / "other");
      otherJournal = store::Journal::open(folder / "otherJournal");
      other = std::make_unique<Kernel>(*otherStore, *otherJournal, testEngine(), otherHost, KernelOptions());
   };
   const auto execute = [&](const auto& block) {
      const auto done = other->executeBlock(block);
      ASSERT_TRUE(done && *done) << (done ? done->error().reason : "cancelled");
   };
   execute(genesisBlock);
   for (const auto& block : {left[0], right[0], left[1], right[1]})
      execute(block);
   EXPECT_EQ(other->head()->num, 1u); // until consensus has chosen
   EXPECT_EQ(other->reversibleBlocks().size(), 5u);
   (void)other->flush();
   EXPECT_EQ(other->irreversible()->num, 1u);

   ASSERT_TRUE(other->switchHead(idOf(right[1])));
   ASSERT_TRUE(other->setIrreversible(idOf(genesisBlock), {}));
   EXPECT_EQ(other->remember(toBytes("first")), otherJournal->end());
   ASSERT_TRUE(other->switchHead(idOf(left[1])));
   ASSERT_TRUE(other->setIrreversible(idOf(left[0]), toBytes("proof")));
   EXPECT_FALSE(other->setIrreversible(format::Checksum256{9}, {}));
   EXPECT_EQ(other->remember(toBytes("second")), otherJournal->end());
   EXPECT_EQ(other->flush(), otherJournal->end());

   const auto check = [&] {
      EXPECT_EQ(other->head()->id, idOf(left[1]));
      EXPECT_EQ(other->irreversible()->id, idOf(left[0]));
      EXPECT_EQ(other->remembered(), toBytes("second"));
      const auto above = other->reversibleBlocks();
      ASSERT_EQ(above.size(), 1u); // what is not built on the irreversible block has lost
      EXPECT_EQ(*above[0], *left[1]);
      EXPECT_EQ(other->block(3)->auxConsensusData, toBytes("proof"));
      EXPECT_EQ(other->block(3)->block, left[0]->block);
      EXPECT_EQ(other->block(*other->irreversible(), 3)->block, left[0]->block);
      EXPECT_FALSE(other->block(*other->irreversible(), 4));
   };
   check();
   again();
   check();
   // The checkpoint is at the irreversible block; what the journal still holds of the lost fork is passed over.
   other->checkpoint();
   again();
   check();
   other->checkpoint();
   execute(left[1]); // once more, which changes nothing
   check();
}

CHAIN_TEST(BlockTest, executionIsCancelled) {
   // (module (func (export "start") (param i64)) (func (export "called") (param i64 i64) (loop (br 0))))
   const Bytes endless = *fromHex("0061736d01000000010a0260017e0060027e7e000303020001071202057374617274000006"
                                  "63616c6c656400010a0c0202000b070003400c000b0b");
   auto data = genesisData();
   data.services.push_back({"loop"_a, 0, 0, 0, endless});
   const auto trace = kernel->pushBoot(
       {transaction({{AccountNumber(), AccountNumber(), "boot"_m, format::pack(data)}})}, "prod"_a, time);
   ASSERT_TRUE(trace && !trace->error);
   const auto base = kernel->head()->id;
   startBlock();
   const auto good = seal().block;
   ASSERT_TRUE(kernel->switchHead(base));

   // No node would produce it.
   auto bad = std::make_shared<format::SignedBlock>(*good);
   bad->block.transactions.push_back(transaction({action("loop"_a, Program())}));
   bad->block.transactions.back().subjectiveData.emplace();
   const auto id = format::blockId(bad->block.header);
   std::atomic<bool> done = false;
   std::thread canceller([&] {
      while (!done.load())
         kernel->cancelBlock(id);
   });
   const auto cancelled = kernel->executeBlock(bad);
   done = true;
   canceller.join();
   EXPECT_FALSE(cancelled);
   EXPECT_EQ(kernel->head()->id, base);

   // The same id may be asked for again; and a verdict is a verdict.
   kernel->cancelBlock({});
   const auto valid = kernel->executeBlock(good);
   ASSERT_TRUE(valid);
   EXPECT_TRUE(*valid) << valid->error().reason;
   bad->block.transactions.back() = transaction({action("nobody"_a, Program())});
   bad->block.transactions.back().subjectiveData.emplace();
   const auto invalid = kernel->executeBlock(bad);
   ASSERT_TRUE(invalid);
   EXPECT_FALSE(*invalid);
}

CHAIN_TEST(BlockTest, verifiesByTheServicesInForce) {
   boot();
   startBlock();
   (void)seal();
   const format::Consensus before = kernel->head()->status.consensus.current;
   ASSERT_EQ(before.services.size(), 1u);
   const format::Checksum256 digest{5};
   const auto verifies = [&](const format::Consensus& under, const char* proof) {
      return kernel->verifies(under, {verify, {}}, digest, toBytes(proof));
   };
   EXPECT_TRUE(verifies(before, "yes"));
   EXPECT_FALSE(verifies(before, "no"));
   EXPECT_TRUE(kernel->verifies(before, {}, digest, {}));
   EXPECT_FALSE(kernel->verifies(before, {}, digest, {1}));
   EXPECT_FALSE(kernel->verifies(before, {alice, {}}, digest, toBytes("yes"))); // does not verify

   // While its code changes, the old services and the new ones both have their signatures checked.
   const Bytes code = puppetVariant(1);
   startBlock();
   EXPECT_EQ(push({action(alice, deploying(verify, CodeRow::isVerify, code))}), "");
   (void)seal();
   const format::Consensus after = kernel->head()->status.consensus.next->consensus;
   ASSERT_NE(after.services, before.services);
   EXPECT_TRUE(verifies(before, "yes"));
   EXPECT_TRUE(verifies(after, "yes"));
   EXPECT_FALSE(verifies(after, "no"));
   auto unknown = after;
   unknown.services[0].codeHash[0] ^= 1;
   EXPECT_FALSE(verifies(unknown, "yes"));
}

CHAIN_TEST(BlockTest, scheduledSnapshots) {
   // The row stands in the state of the block that it names, the checksum of which every node signs for itself.
   boot();
   const format::ScheduledSnapshotRow row{3};
   const Bytes key = storeKey(db::native, row.key());
   EXPECT_EQ(one(alice, Program().open(db::native, {}, 2).put(0, row.key(), format::pack(row))), "");
   EXPECT_EQ(one(alice, Program().open(db::native, {}, 2).remove(0, row.key())), "");
   EXPECT_FALSE(kernel->stateAt(2)->version.get(key));
   ASSERT_TRUE(kernel->stateAt(3)->version.get(key));
   EXPECT_EQ(toBytes(*kernel->stateAt(3)->version.get(key)), format::pack(row));
   EXPECT_FALSE(kernel->stateAt(4)->version.get(key));
   OtherNode node(folder);
   node.follow(*kernel, 4);
   for (const std::uint32_t num : {2u, 3u, 4u})
      EXPECT_EQ(stateChecksum(*node.kernel.stateAt(num)), stateChecksum(*kernel->stateAt(num))) << num;
   EXPECT_NE(stateChecksum(*kernel->stateAt(2)), stateChecksum(*kernel->stateAt(3)));
}

CHAIN_TEST(BlockTest, databasesThatFollowForks) {
   installLocal({alice, xHttp});
   boot();
   const auto parent = kernel->head()->id;
   const format::ScheduledSnapshotRow row{77};
   startBlock();
   EXPECT_EQ(push({action(alice, Program()
                                     .open(db::service, prefixOf(alice), 2)
                                     .put(0, "k", "0")
                                     .open(db::writeOnly, prefixOf(alice), 2)
                                     .put(1, "k", "1")
                                     .open(db::native, {}, 2)
                                     .put(2, row.key(), format::pack(row)))}),
             "");
   const auto there = seal().id;
   for (const std::uint32_t database : {db::subjective, db::session})
      EXPECT_EQ(run(format::RunMode::rpc, alice,
                    Program().checkout().open(database, prefixOf(alice), 3).put(0, "k", "node").commit()),
                "");
   Bytes key = prefixOf(alice);
   key.push_back('k');
   const auto found = [&] {
      const auto& version = kernel->head()->version;
      const auto has = [&](std::uint32_t database, ByteView raw) {
         return version.get(storeKey(database, raw)).has_value();
      };
      return std::tuple(has(db::service, key), has(db::writeOnly, key), has(db::native, row.key()),
                        has(db::blockLog, bigEndian32(3)), has(db::blockProof, bigEndian32(3)));
   };
   EXPECT_EQ(found(), std::tuple(true, true, true, true, true));
   ASSERT_TRUE(kernel->switchHead(parent));
   EXPECT_EQ(found(), std::tuple(false, false, false, false, false));
   // What is the node's own stays.
   for (const std::uint32_t database : {db::subjective, db::session}) {
      EXPECT_EQ(run(format::RunMode::rpc, alice,
                    Program().checkout().open(database, prefixOf(alice), 1).get(0, "k").abortCheckout()),
                "");
      auto out = runOutput();
      out.word();
      EXPECT_EQ(out.found(), "node");
   }
   ASSERT_TRUE(kernel->switchHead(there));
   EXPECT_EQ(found(), std::tuple(true, true, true, true, true));
}

CHAIN_TEST(BlockTest, stateHashCoversServiceAndNative) {
   boot();
   const auto rootsAfter = [&](const Program& p) {
      EXPECT_EQ(one(alice, p), "");
      const auto sum = stateChecksum(*kernel->head());
      EXPECT_EQ(sum.serviceRoot, kernel->head()->version.merkle(Bytes{db::service}));
      EXPECT_EQ(sum.nativeRoot, kernel->head()->version.merkle(Bytes{db::native}));
      return sum;
   };
   const auto before = rootsAfter(Program());
   const auto hidden = rootsAfter(Program().open(db::writeOnly, prefixOf(alice), 2).put(0, "k", "v"));
   EXPECT_EQ(hidden.serviceRoot, before.serviceRoot);
   EXPECT_NE(hidden.nativeRoot, before.nativeRoot); // the status row
   EXPECT_NE(rootsAfter(Program().open(db::service, prefixOf(alice), 2).put(0, "k", "v")).serviceRoot,
             before.serviceRoot);
}

CHAIN_TEST(BlockTest, replayNeverTimesOut) {
   boot();
   startBlock();
   EXPECT_EQ(push({action(alice, Program().recurse(20'000).maxCpu(1'000'000'000).again(50))}), "");
   const auto block = seal().block;
   KernelOptions otherOptions;
   otherOptions.transactionCpuNs = otherOptions.queryCpuNs = 1;
   OtherNode node(folder, otherOptions);
   Kernel& other = node.kernel;
   node.follow(*kernel, 2);
   const auto applied = other.applyBlock(block);
   EXPECT_TRUE(applied) << applied.error().reason;
   EXPECT_FALSE(other.startBlock({time + 1'000'000, "prod"_a, 0, 0})); // there the limit holds
}

CHAIN_TEST(BlockTest, proofsOfAFinishedBlock) {
   // More than one thread takes at a time; one that is wrong spoils the block, wherever it is.
   boot();
   startBlock();
   for (int i = 0; i < 30; ++i)
      EXPECT_FALSE(kernel
                       ->push(transaction({action(alice, Program().count())}, {{verify, {}}, {verify, {}}},
                                          {toBytes("y" + std::to_string(i)), toBytes("yes")}))
                       .error);
   const auto good = seal().block;
   OtherNode node(folder);
   Kernel& other = node.kernel;
   node.follow(*kernel, 2);
   for (const std::size_t at : {1u, 15u, 30u}) {
      auto bad = std::make_shared<format::SignedBlock>(*good);
      bad->block.transactions.at(at).proofs.at(at % 2) = toBytes("no");
      const auto refused = other.applyBlock(bad);
      ASSERT_FALSE(refused);
      EXPECT_NE(refused.error().reason.find("bad proof"), std::string::npos) << refused.error().reason;
      EXPECT_EQ(other.head()->num, 2u);
   }
   const auto applied = other.applyBlock(good);
   EXPECT_TRUE(applied) << applied.error().reason;
}

CHAIN_TEST(BlockTest, blocksAreSigned) {
   // Once the producers have a key, a block needs its signature: the verify service answers for it.
   boot();
   startBlock();
   auto status =
       *format::unpack<format::StatusRow>(*kernel->head()->version.get(storeKey(db::native, format::StatusRow::key())));
   status.current.time.microseconds = time;
   auto next = status.consensus.next->consensus;
   std::get<format::CftConsensus>(next.data).producers = {{"prod"_a, {verify, {}}}};
   status.consensus.current = next;
   status.consensus.next.reset();
   EXPECT_EQ(
       push({action(alice, Program().open(db::native, {}, 2).put(0, format::StatusRow::key(), format::pack(status)))}),
       "");
   (void)seal();
   startBlock();
   Bytes preimage;
   const auto sealed = kernel->sealBlock([&](ByteView bytes) {
      preimage = toBytes(bytes);
      return toBytes("yes");
   });
   ASSERT_TRUE(sealed);
   EXPECT_EQ(preimage, toBytes(ByteView(format::blockSignaturePreimage(sealed->id))));
   OtherNode node(folder);
   Kernel& other = node.kernel;
   node.follow(*kernel, 3);
   for (const char* wrong : {"", "no"}) {
      auto bad = std::make_shared<format::SignedBlock>(*sealed->block);
      bad->signature = toBytes(wrong);
      const auto refused = other.applyBlock(bad);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().reason, "invalid block signature");
   }
   EXPECT_TRUE(other.applyBlock(sealed->block));
   EXPECT_EQ(other.block(4)->signature, toBytes("yes"));
}

CHAIN_TEST(BlockTest, restartReplaysJournal) {
   installLocal({alice, xHttp});
   boot();
   for (int i = 0; i < 3; ++i)
      EXPECT_EQ(one(alice, Program().open(db::service, prefixOf(alice), 3).put(0, "n", std::string(1, char('a' + i)))),
                "");
   EXPECT_EQ(run(format::RunMode::rpc, alice,
                 Program()
                     .checkout()
                     .open(db::subjective, prefixOf(alice), 3)
                     .put(0, "mine", "kept")
                     .open(db::session, prefixOf(alice), 3)
                     .put(1, "mine", "lost")
                     .commit()),
             "");
   kernel->flush();
   const auto status = kernel->head()->status; // states must not outlive their store
   const auto check = [&] {
      EXPECT_EQ(kernel->head()->id, status.head->blockId);
      EXPECT_EQ(kernel->irreversible()->num, status.head->header.blockNum);
      EXPECT_EQ(kernel->head()->status, status);
      EXPECT_FALSE(kernel->needsLocalServices());
      EXPECT_EQ(run(format::RunMode::rpc, alice,
                    Program()
                        .checkout()
                        .open(db::subjective, prefixOf(alice), 1)
                        .get(0, "mine")
                        .open(db::session, prefixOf(alice), 1)
                        .get(1, "mine")
                        .abortCheckout()),
                "");
      auto out = runOutput();
      out.word();
      EXPECT_EQ(out.found(), "kept");
      out.word();
      EXPECT_EQ(out.found(), "-");
   };
   reopen();
   check();
   // With a checkpoint in the middle.
   kernel->checkpoint();
   EXPECT_EQ(one(alice, Program().open(db::service, prefixOf(alice), 3).put(0, "n", "z")), "");
   EXPECT_EQ(run(format::RunMode::rpc, alice,
                 Program().checkout().open(db::subjective, prefixOf(alice), 3).put(0, "later", "too").commit()),
             "");
   kernel->flush();
   const auto id = kernel->head()->id;
   const auto root = kernel->head()->version.merkle(Bytes{db::service});
   reopen();
   EXPECT_EQ(kernel->head()->id, id);
   EXPECT_EQ(kernel->head()->version.merkle(Bytes{db::service}), root);
   EXPECT_EQ(run(format::RunMode::rpc, alice,
                 Program().checkout().open(db::subjective, prefixOf(alice), 1).get(0, "later").abortCheckout()),
             "");
   auto out = runOutput();
   out.word();
   EXPECT_EQ(out.found(), "too");
   // And the chain goes on.
   EXPECT_EQ(one(alice, Program()), "");
}

CHAIN_TEST(BlockTest, blocksBecomeFinalWhileACheckpointIsDue) {
   options.checkpointBytesMin = options.checkpointBytesMax = 1000;
   reopen();
   boot();
   const auto fill = [&](const char* key) {
      EXPECT_EQ(one(alice, Program().open(db::service, prefixOf(alice), 2).put(0, key, std::string(2000, 'x'))), "");
   };
   fill("a");
   const std::uint64_t before = store_->stat().checkpoint;
   EXPECT_EQ(kernel->flush(), journal_->end());
   EXPECT_EQ(kernel->irreversible()->id, kernel->head()->id);
   EXPECT_EQ(store_->stat().checkpoint, before); // one that is to be made makes nobody wait
   EXPECT_TRUE(kernel->checkpointIfDue());
   EXPECT_GT(store_->stat().checkpoint, before);
   EXPECT_FALSE(kernel->checkpointIfDue());
   fill("b");
   kernel->flush();
   EXPECT_TRUE(kernel->checkpointIfDue());
}

CHAIN_TEST(BlockTest, killedProcess) {
   installLocal({alice});
   boot();
   EXPECT_EQ(one(alice, Program().open(db::service, prefixOf(alice), 2).put(0, "a", "1")), "");
   kernel->flush();
   // States must not outlive their store.
   const auto durableId = kernel->irreversible()->id;
   EXPECT_EQ(kernel->irreversible()->num, 3u);
   EXPECT_EQ(one(alice, Program().open(db::service, prefixOf(alice), 2).put(0, "a", "2")), "");
   startBlock(); // in the middle of a block
   EXPECT_EQ(push({action(alice, Program().open(db::service, prefixOf(alice), 2).put(0, "a", "3"))}), "");
   // What a process that dies now leaves behind.
   std::filesystem::create_directories(folder / "left");
   std::filesystem::copy(folder / "store", folder / "left" / "store", std::filesystem::copy_options::recursive);
   std::filesystem::copy(folder / "journal", folder / "left" / "journal", std::filesystem::copy_options::recursive);
   closeKernel();
   auto leftStore = store::Store::open(folder / "left" / "store");
   auto leftJournal = store::Journal::open(folder / "left" / "journal");
   Kernel left(*leftStore, *leftJournal, testEngine(), host, {});
   EXPECT_GE(left.head()->num, 3u);
   EXPECT_LE(left.head()->num, 4u);
   ASSERT_TRUE(left.stateAt(3));
   EXPECT_EQ(left.stateAt(3)->id, durableId);
   EXPECT_TRUE(left.startBlock({time, "prod"_a, 0, 0}));
   EXPECT_TRUE(left.sealBlock({}));
}

CHAIN_TEST(BlockTest, fullDiskIsNoVerdict) {
   struct FullDisk final : store::FileWatch {
      bool full = false;
      std::size_t on(store::FileStep step, int, std::size_t bytes) override {
         if (full && step == store::FileStep::allocate)
            throw Fault("no room");
         return bytes;
      }
   } disk;
   boot();
   const std::string large(2u << 20,
                           'x'); // in the store's file, which is that of a small chain, there is no room for four
   const Program writes = Program()
                              .open(db::service, prefixOf(alice), 3)
                              .put(0, "a", large)
                              .get(0, "a")
                              .put(0, "b", Program::reg)
                              .put(0, "c", Program::reg)
                              .put(0, "d", Program::reg);
   startBlock();
   EXPECT_EQ(push({action(alice, writes)}), "");
   const auto block = seal().block;
   {
      OtherNode node(folder, {}, &disk);
      Kernel& other = node.kernel;
      node.follow(*kernel, 2);
      const auto nothingHappened = [&] {
         EXPECT_EQ(other.head()->num, 2u);
         EXPECT_EQ(stateChecksum(*other.head()), stateChecksum(*kernel->stateAt(2)));
      };
      // A finished block: neither executed nor refused.
      disk.full = true;
      EXPECT_THROW((void)other.applyBlock(block), Fault);
      EXPECT_THROW((void)other.executeBlock(block), Fault);
      nothingHappened();
      // A block of one's own.
      ASSERT_TRUE(other.startBlock({time, "prod"_a, 0, 0}));
      EXPECT_THROW((void)other.push(transaction({action(alice, writes)})), Fault);
      other.abortBlock();
      nothingHappened();
      // With room again, both go on.
      disk.full = false;
      ASSERT_TRUE(other.startBlock({time, "prod"_a, 0, 0}));
      EXPECT_FALSE(other.push(transaction({action(alice, writes)})).error);
      other.abortBlock();
      nothingHappened();
      const auto applied = other.applyBlock(block);
      ASSERT_TRUE(applied) << applied.error().reason;
   }
   const OtherNode again(folder, {}, &disk);
   EXPECT_EQ(again.kernel.head()->id, kernel->head()->id);
   EXPECT_EQ(stateChecksum(*again.kernel.head()), stateChecksum(*kernel->head()));
}

CHAIN_TEST(BlockTest, irreversibleWhenDurable) {
   installLocal({alice});
   boot();
   EXPECT_EQ(kernel->irreversible()->num, 1u);
   kernel->flush();
   EXPECT_EQ(kernel->irreversible()->num, 2u);

   // Our own notification: NotifyRow type 5.
   EXPECT_EQ(one(alice, storing(alice, "onFinal"_m.value,
                                Program()
                                    .argument()
                                    .checkout()
                                    .open(db::subjective, prefixOf(alice), 3)
                                    .put(0, "final", Program::reg)
                                    .commit())),
             "");
   const format::NotifyRow row{static_cast<format::NotifyType>(notifyFinal),
                               {{AccountNumber(), alice, "onFinal"_m, {}}}};
   EXPECT_EQ(run(format::RunMode::rpc, alice,
                 Program().checkout().open(db::nativeSubjective, {}, 2).put(0, row.key(), format::pack(row)).commit()),
             "");
   EXPECT_EQ(one(alice, Program()), "");
   EXPECT_EQ(one(alice, Program()), "");
   kernel->flush();
   EXPECT_EQ(kernel->irreversible()->num, 5u);
   EXPECT_EQ(run(format::RunMode::rpc, alice,
                 Program().checkout().open(db::subjective, prefixOf(alice), 1).get(0, "final").abortCheckout()),
             "");
   auto out = runOutput();
   out.word();
   const std::string stored = out.found();
   const auto told = format::unpack<std::tuple<std::uint32_t>>(asBytes(stored));
   ASSERT_TRUE(told);
   EXPECT_EQ(std::get<0>(*told), 5u); // once, with the newest
}

CHAIN_TEST(BlockTest, retention) {
   closeKernel();
   options.retainedBlocks = 5;
   openKernel();
   boot();
   for (int i = 0; i < 10; ++i)
      EXPECT_EQ(one(alice, Program()), "");
   EXPECT_TRUE(kernel->stateAt(2)); // not durable yet: kept
   kernel->flush();
   EXPECT_EQ(one(alice, Program()), "");
   EXPECT_FALSE(kernel->stateAt(4));
   EXPECT_TRUE(kernel->stateAt(12));
}

CHAIN_TEST(BlockTest, oldBlocksAreDroppedUpToTheKeptState) {
   closeKernel();
   options.keepBlocks = 10;
   openKernel();
   boot();
   const auto grow = [&](std::uint32_t to) {
      while (kernel->head()->num < to) {
         EXPECT_EQ(one(alice, Program()), "");
         kernel->flush();
      }
   };
   const auto root = [&] { return kernel->head()->version.merkle(Bytes{db::native}); };
   grow(100);
   EXPECT_EQ(kernel->logStart(), 0u) << "nobody could begin without them";
   kernel->keepState(kernel->stateAt(90));
   grow(200);
   // As far as the kept state: some at a time.
   const std::uint32_t start = kernel->logStart();
   EXPECT_EQ(start, 90u);
   EXPECT_FALSE(kernel->block(3));
   EXPECT_FALSE(kernel->block(start - 1));
   ASSERT_TRUE(kernel->block(start));
   EXPECT_FALSE(kernel->block(start)->block.transactions.empty());
   // Genesis shows who produces.
   ASSERT_TRUE(kernel->block(2));
   EXPECT_TRUE(kernel->block(2)->block.transactions.empty());
   EXPECT_EQ(format::blockId(kernel->block(2)->block.header), kernel->chainId());
   const auto before = root();
   kernel->checkpoint();
   reopen();
   EXPECT_EQ(root(), before);
   EXPECT_EQ(kernel->logStart(), start);
   ASSERT_TRUE(kernel->keptState());
   EXPECT_EQ(kernel->keptState()->num, 90u);
   EXPECT_EQ(one(alice, Program()), "");
}

CHAIN_TEST(BlockTest, goesOnFromAStateOfAnother) {
   installLocal({alice});
   boot();
   EXPECT_EQ(one(alice, Program().open(db::service, prefixOf(alice), 2).put(0, "a", "1")), "");
   kernel->flush();
   EXPECT_EQ(run(format::RunMode::rpc, alice,
                 Program().checkout().open(db::subjective, prefixOf(alice), 3).put(0, "mine", "kept").commit()),
             "");
   // The same state, three blocks further: as a snapshot would bring it.
   auto status = kernel->head()->status;
   auto header = status.head->header;
   header.blockNum += 3;
   header.time.microseconds += 3'000'000;
   header.commitNum = header.blockNum;
   status.head = format::BlockInfo{header, format::blockId(header)};
   status.current.blockNum = header.blockNum + 1;
   status.current.previous = status.head->blockId;
   status.current.time.microseconds = header.time.microseconds + 1'000'000;
   const format::LogTruncateRow start{header.blockNum};
   {
      store::Writer writer(kernel->head()->version);
      writer.put(storeKey(db::native, format::StatusRow::key()), format::pack(status));
      kernel->adopt(writer.snapshot(),
                    {{storeKey(db::nativeSubjective, format::LogTruncateRow::key()), format::pack(start)}});
   }
   const auto check = [&] {
      EXPECT_EQ(kernel->head()->id, status.head->blockId);
      EXPECT_EQ(kernel->irreversible()->id, status.head->blockId);
      EXPECT_EQ(kernel->logStart(), header.blockNum);
      ASSERT_TRUE(kernel->keptState());
      EXPECT_EQ(kernel->keptState()->id, status.head->blockId);
      EXPECT_TRUE(kernel->reversibleBlocks().empty());
      EXPECT_EQ(run(format::RunMode::rpc, alice,
                    Program().checkout().open(db::subjective, prefixOf(alice), 1).get(0, "mine").abortCheckout()),
                "");
      auto out = runOutput();
      out.word();
      EXPECT_EQ(out.found(), "kept");
   };
   check();
   reopen(); // no clean shutdown is needed
   check();
   time = header.time.microseconds;
   EXPECT_EQ(one(alice, Program()), "");
   EXPECT_EQ(kernel->head()->num, header.blockNum + 1);
}

CHAIN_TEST(BlockTest, newProducersAreActivated) {
   boot();
   // A service writes consensus.next (§7.3).
   startBlock();
   auto status =
       *format::unpack<format::StatusRow>(*kernel->head()->version.get(storeKey(db::native, format::StatusRow::key())));
   status.current.time.microseconds = time;
   auto next = status.consensus.next->consensus;
   std::get<format::CftConsensus>(next.data).producers = {{"prod"_a, {}}, {"other"_a, {}}};
   // Genesis' own pending set is activated by this block's start: current := next.
   status.consensus.current = status.consensus.next->consensus;
   status.consensus.next = format::PendingConsensus{next, 3};
   EXPECT_EQ(
       push({action(alice, Program().open(db::native, {}, 2).put(0, format::StatusRow::key(), format::pack(status)))}),
       "");
   const auto three = seal();
   EXPECT_EQ(three.state->header->newConsensus, next);
   EXPECT_EQ(three.state->header->commitNum, 2u); // H9: two sets, no longer by itself
   // Joint consensus keeps the old verify database.
   EXPECT_TRUE(three.state->version.last(Bytes{db::prevAuthServices}));
   // Commit of block 3 is known to block 4; block 5 starts with the new set.
   time += 1'000'000;
   ASSERT_TRUE(kernel->startBlock({time, "prod"_a, 0, 3}));
   const auto four = seal();
   EXPECT_EQ(four.state->header->commitNum, 3u);
   time += 1'000'000;
   ASSERT_TRUE(kernel->startBlock({time, "prod"_a, 0, 3}));
   const auto five = seal();
   EXPECT_FALSE(five.state->status.consensus.next);
   EXPECT_EQ(five.state->status.consensus.current, next);
   EXPECT_FALSE(five.state->version.last(Bytes{db::prevAuthServices}));
}

CHAIN_TEST(BlockTest, changesOfProducersAreNoted) {
   // Where it began, by which number it was irreversible, and in which block that was known.
   installLocal({xHttp});
   boot();
   const auto rows = [&] {
      std::vector<format::ConsensusChangeRow> out;
      for (const std::uint32_t at : {2u, 3u, 4u, 5u}) {
         EXPECT_EQ(run(format::RunMode::rpc, xHttp,
                       Program()
                           .checkout()
                           .open(db::nativeSubjective, {}, 1)
                           .get(0, format::ConsensusChangeRow{at, 0, 0}.key())),
                   "");
         auto found = runOutput();
         found.word();
         const std::string packed = found.found();
         if (packed != "-")
            out.push_back(format::unpack<format::ConsensusChangeRow>(asBytes(packed)).value());
      }
      return out;
   };
   const format::ConsensusChangeRow genesisChange{2, 2, 2}, change{3, 3, 4};
   EXPECT_EQ(rows(), std::vector{genesisChange});
   propose({{"prod"_a, {}}, {"other"_a, {}}});
   (void)seal();
   EXPECT_EQ(rows(), std::vector{genesisChange});
   time += 1'000'000;
   ASSERT_TRUE(kernel->startBlock({time, "prod"_a, 0, 3}));
   (void)seal();
   EXPECT_EQ(rows(), (std::vector{genesisChange, change}));
}

CHAIN_TEST(BlockTest, aServiceCannotMakeOneProducerOfSeveral) {
   // At once, that is: a block that began as one of several, and says how far they agree, cannot end as its own word.
   boot();
   propose({{"prod"_a, {}}, {"other"_a, {}}});
   (void)seal();
   time += 1'000'000;
   ASSERT_TRUE(kernel->startBlock({time, "prod"_a, 0, 2}));
   auto status = kernel->head()->status;
   status.current.time.microseconds = time;
   status.consensus.next.reset();
   EXPECT_EQ(
       push({action(alice, Program().open(db::native, {}, 2).put(0, format::StatusRow::key(), format::pack(status)))}),
       "");
   const auto sealed = kernel->sealBlock({});
   ASSERT_FALSE(sealed);
   EXPECT_EQ(sealed.error().reason, "Forbidden consensus update");
}

CHAIN_TEST(BlockTest, aServiceCannotEndJointConsensus) {
   // Whoever may write the status row can drop what is pending in it. Then the old verify services are in the way: the
   // block is lost, and nothing else.
   boot();
   const std::vector<format::Producer> both{{"prod"_a, {}}, {"other"_a, {}}};
   propose(both);
   ASSERT_TRUE(seal().state->version.last(Bytes{db::prevAuthServices}));
   propose({});
   const auto sealed = kernel->sealBlock({});
   ASSERT_FALSE(sealed);
   EXPECT_EQ(sealed.error().reason, "Forbidden consensus update");
   EXPECT_EQ(kernel->head()->num, 3u);
   propose(both);
   (void)seal();
   EXPECT_EQ(kernel->head()->num, 4u);
}

CHAIN_TEST(BlockTest, amongSeveralProducersABlockIsNotIrreversibleByItsOwnWord) { // H9
   boot();
   startBlock();
   auto status =
       *format::unpack<format::StatusRow>(*kernel->head()->version.get(storeKey(db::native, format::StatusRow::key())));
   status.current.time.microseconds = time;
   status.consensus.current = status.consensus.next->consensus;
   auto next = status.consensus.current;
   next.data = format::BftConsensus{{{"prod"_a, {}}, {"other"_a, {}}}};
   status.consensus.next = format::PendingConsensus{next, 3};
   EXPECT_EQ(
       push({action(alice, Program().open(db::native, {}, 2).put(0, format::StatusRow::key(), format::pack(status)))}),
       "");
   seal();
   kernel->flush();
   const auto before = kernel->irreversible()->num;
   EXPECT_LE(before, 2u);
   for (const std::uint32_t claimed : {4u, 5u}) {
      time += 1'000'000;
      ASSERT_TRUE(kernel->startBlock({time, "prod"_a, 0, claimed}));
      EXPECT_EQ(seal().state->header->commitNum, claimed);
      kernel->flush();
      EXPECT_EQ(kernel->irreversible()->num, before);
   }
   reopen();
   EXPECT_EQ(kernel->head()->num, 5u);
   EXPECT_LE(kernel->irreversible()->num, 2u);
}

CHAIN_TEST(BlockTest, verifyServiceChangesReachHeader) {
   boot();
   startBlock();
   EXPECT_EQ(push({action(alice, Program())}), "");
   EXPECT_FALSE(seal().block->block.header.authCode);
   // New code for the verify service.
   const Bytes code = puppetVariant(1);
   startBlock();
   EXPECT_EQ(push({action(alice, deploying(verify, CodeRow::isVerify, code))}), "");
   const auto sealed = seal();
   ASSERT_TRUE(sealed.block->block.header.authCode);
   ASSERT_EQ(sealed.block->block.header.authCode->size(), 1u);
   EXPECT_EQ((*sealed.block->block.header.authCode)[0].code, code);
   EXPECT_EQ(sealed.state->header->newConsensus->services.at(0).codeHash, format::sha256(ByteView(code)));
   EXPECT_FALSE(sealed.state->header->authCode);
   // Back to none.
   startBlock();
   EXPECT_EQ(push({action(alice, Program().open(db::native, {}, 2).remove(0, CodeRow::key(verify)))}), "");
   const auto gone = seal();
   ASSERT_TRUE(gone.block->block.header.authCode);
   EXPECT_TRUE(gone.block->block.header.authCode->empty());
   EXPECT_TRUE(gone.state->header->newConsensus->services.empty());
}

CHAIN_TEST(BlockTest, verifyServicesOfTheNextHeader) { // K-7.2
   boot();
   const auto hash = [](const Bytes& code) { return format::sha256(ByteView(code)); };
   const auto codeKey = [&](const Bytes& code) { return format::CodeByHashRow::key(hash(code), 0, 0); };
   using Names = std::map<AccountNumber, format::Checksum256>;
   const auto servicesOf = [](const std::vector<format::BlockHeaderAuthAccount>& list) {
      Names out;
      AccountNumber last;
      for (const auto& entry : list) {
         EXPECT_LT(last.value, entry.codeNum.value); // in the order of accounts
         last = entry.codeNum;
         out[entry.codeNum] = entry.codeHash;
      }
      return out;
   };
   /// What a block with this action says: the services, and the code that is new; nothing if nothing changes.
   const auto after = [&](const Program& p) -> std::optional<std::pair<Names, std::vector<Bytes>>> {
      startBlock();
      EXPECT_EQ(push({action(alice, p)}), "");
      const auto block = seal().block;
      EXPECT_EQ(block->block.header.authCode.has_value(), block->block.header.newConsensus.has_value());
      if (!block->block.header.authCode)
         return std::nullopt;
      std::vector<Bytes> code;
      for (const auto& c : *block->block.header.authCode)
         code.push_back(c.code);
      return std::pair(servicesOf(block->block.header.newConsensus->services), code);
   };
   using Said = std::pair<Names, std::vector<Bytes>>;
   const Bytes first = puppetCode(), second = puppetVariant(11), third = puppetVariant(12);
   const AccountNumber other = "other"_a;
   const auto row = [&](AccountNumber account, std::uint64_t flags, const Bytes& code) {
      const CodeRow r{account, flags, hash(code), 0, 0};
      return Program().open(db::native, {}, 2).put(0, r.key(), format::pack(r));
   };
   const auto verifies = CodeRow::isVerify;
   // Code that the headers have shown already is not shown again, whoever runs it.
   EXPECT_EQ(after(row(other, verifies, first)), Said({{verify, hash(first)}, {other, hash(first)}}, {}));
   // The same row once more changes nothing; nor does code that verifies nothing.
   EXPECT_EQ(after(row(other, verifies, first)), std::nullopt);
   EXPECT_EQ(after(deploying("new"_a, priv, second)), std::nullopt);
   // New to the headers, though not to the chain; shown once for two.
   EXPECT_EQ(after(row(other, verifies, second)), Said({{verify, hash(first)}, {other, hash(second)}}, {second}));
   EXPECT_EQ(after(Program()
                       .call(action(alice, deploying(other, verifies, third)))
                       .call(action(alice, row(verify, verifies, third)))),
             Said({{verify, hash(third)}, {other, hash(third)}}, {third}));
   // Code that is taken away and put back in one block stays known.
   const format::CodeByHashRow blob{hash(third), 0, 0, third};
   EXPECT_EQ(after(Program().open(db::native, {}, 2).remove(0, codeKey(third)).put(0, blob.key(), format::pack(blob))),
             std::nullopt);
   // A row whose code is not there verifies nothing.
   EXPECT_EQ(after(row(other, verifies, puppetVariant(13))), Said({{verify, hash(third)}}, {}));
   EXPECT_EQ(after(row(other, 0, second)), std::nullopt);
   // Without the flag it is gone, and so it is when its code is.
   EXPECT_EQ(after(row(other, verifies, third)), Said({{verify, hash(third)}, {other, hash(third)}}, {}));
   EXPECT_EQ(after(row(other, 0, third)), Said({{verify, hash(third)}}, {}));
   EXPECT_EQ(after(Program().open(db::native, {}, 2).remove(0, codeKey(third))), Said({}, {}));
   // The limits of proofs are part of it.
   format::WasmConfigRow wasm;
   wasm.numExecutionMemories = 7;
   const Bytes key = wasm.key(NativeTable::proofWasmConfig);
   EXPECT_EQ(after(Program().open(db::native, {}, 2).put(0, key, format::pack(wasm))), Said({}, {}));
   EXPECT_EQ(kernel->head()->header->newConsensus->wasmConfig.numExecutionMemories, 7u);
   EXPECT_EQ(after(Program().open(db::native, {}, 2).put(0, key, format::pack(wasm))), std::nullopt);
   // Among them the pending change is amended, and its date with it.
   propose({{"prod"_a, {}}, {"second"_a, {}}});
   (void)seal();
   const auto pending = kernel->head()->status.consensus.next;
   ASSERT_TRUE(pending);
   time += 1'000'000;
   ASSERT_TRUE(kernel->startBlock({time, "prod"_a, 0, 2}));
   EXPECT_EQ(push({action(alice, deploying(verify, verifies, first))}), "");
   (void)seal();
   const auto amended = kernel->head()->status.consensus.next;
   ASSERT_TRUE(amended);
   EXPECT_EQ(amended->consensus.data, pending->consensus.data);
   EXPECT_EQ(amended->blockNum, kernel->head()->num);
   EXPECT_EQ(amended->consensus.services.size(), 1u);
}

CHAIN_TEST(BlockTest, replayedCallsThatDecideNothingAreLimited) {
   // What a switched call does is recorded where the block is made. Another node runs it too, and what it finds there
   // may keep it for ever: a service of that node in place of the chain's.
   boot();
   startBlock();
   EXPECT_EQ(
       push({action(alice, Program().call(action(bob, Program().ret(toBytes("seen")), alice), 2).ret(Program::reg))}),
       "");
   const auto block = seal().block;

   KernelOptions otherOptions;
   otherOptions.transactionCpuNs = 10'000'000;
   OtherNode node(folder, otherOptions);
   Kernel& other = node.kernel;
   node.follow(*kernel, block->block.header.blockNum - 1);
   // (module (func (export "start") (param i64)) (func (export "called") (param i64 i64) (loop (br 0))))
   const Bytes endless = *fromHex("0061736d01000000010a0260017e0060027e7e000303020001071202057374617274000006"
                                  "63616c6c656400010a0c0202000b070003400c000b0b");
   LocalTemplate local;
   local.services.push_back({bob, CodeRow::isPrivileged | CodeRow::isReplacement, endless});
   ASSERT_TRUE(other.firstStart(local, {}, {"test", "{}"}));
   const auto applied = other.applyBlock(block);
   ASSERT_TRUE(applied) << applied.error().reason;
   EXPECT_EQ(other.head()->id, kernel->head()->id);
}

CHAIN_TEST(BlockTest, whatOnlyOneNodeRunsTakesNoPlace) {
   // Four services at once: transact, alice, bob for the switched call, plain. Where another node's bob calls plain,
   // too, a fifth runs, which must not decide.
   boot();
   format::WasmConfigRow wasm;
   wasm.numExecutionMemories = 4;
   EXPECT_EQ(
       one(alice,
           Program().open(db::native, {}, 2).put(0, wasm.key(NativeTable::transactionWasmConfig), format::pack(wasm))),
       "");
   const auto switched = [&](const Program& p) { return action(bob, p, alice); };
   startBlock();
   // Where the block is made, both kinds count together.
   EXPECT_HAS(push({action(alice, Program()
                                      .call(switched(Program().call(action(plain, Program(), bob))), 2)
                                      .call(action(plain, Program(), alice)))}),
              "exceeded maximum number of running services");
   EXPECT_EQ(push({action(alice, Program().call(switched(Program()), 2).call(action(plain, Program(), alice)))}), "");
   const auto block = seal().block;

   const Bytes called = format::pack(action(plain, Program(), bob));
   std::string text;
   for (const std::uint8_t byte : called)
      text += "\\" + toHex(Bytes{byte});
   const auto meddler = vm::fromText(R"((module (import "env" "call" (func $call (param i32 i32 i64) (result i32)))
      (memory 1) (data (i32.const 0) ")" +
                                     text + R"(")
      (func (export "start") (param i64))
      (func (export "called") (param i64 i64)
         (drop (call $call (i32.const 0) (i32.const )" +
                                     std::to_string(called.size()) + R"() (i64.const 0))))))");
   ASSERT_TRUE(meddler) << meddler.error();
   OtherNode node(folder);
   node.follow(*kernel, block->block.header.blockNum - 1);
   LocalTemplate local;
   local.services.push_back({bob, CodeRow::isPrivileged | CodeRow::isReplacement, *meddler});
   ASSERT_TRUE(node.kernel.firstStart(local, {}, {"test", "{}"}));
   node.follow(*kernel, block->block.header.blockNum);
   EXPECT_EQ(node.kernel.head()->id, kernel->head()->id);
}

} // namespace polis::kernel
