#include "transact_query.hpp"

#include "../service/transact.hpp"
#include "http/service/http.hpp"
#include "setcode/service/setcode.hpp"
#include "vserver/service/vserver.hpp"
#include "x-admin/service/x_admin.hpp"
#include "x-run/service/x_run.hpp"
#include "x-transact/service/x_transact.hpp"

#include "format/jwt.hpp"

#include <polis/graphql.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace polis::services {

namespace {

using polis::sdk::detail::ActionView;
using polis::sdk::detail::loadU16;
using polis::sdk::detail::loadU32;
using polis::sdk::detail::loadU64;

constexpr std::uint8_t waitFinal = 0;
constexpr std::uint8_t waitApplied = 1;
constexpr std::int64_t verifyMaxUs = 200'000;
constexpr std::int64_t speculativeMaxUs = 1'000'000;
constexpr std::uint64_t blockBytesMax = 8u << 20;
constexpr std::size_t expiredPerCall = 200, sweptPerCall = 500, sweptBytes = 1u << 20;
constexpr std::size_t sentBackPerCall = 64, largestSentBack = 64 * 1024;
/// A chain that goes on tells of what has expired within this time; then the clock does.
constexpr std::int64_t lateSec = 10;
constexpr std::uint32_t nextTransactionType = static_cast<std::uint32_t>(NotifyType::nextTransaction);
constexpr std::uint32_t preverifyType = static_cast<std::uint32_t>(NotifyType::preverifyTransaction);
/// Types of the node's own: blocks that are final, and which transactions a callback is about.
constexpr std::uint32_t finalType = 5, interestType = 6;

/// Newest block told of as final, and the sequence below which nothing waits; node-local.
struct FinalBlock {
   BlockNum blockNum = 0;
};
using FinalBlocks = SubjectiveTable<9, FinalBlock, key<>>;

/// Time of a block that may still be undone; follows forks.
struct ReversibleBlock {
   BlockNum blockNum = 0;
   TimePointUSec time;
};
using ReversibleBlocks = WriteOnlyTable<2, ReversibleBlock, &ReversibleBlock::blockNum>;

Action nextCallback() { return {AccountNumber{}, TransactQuery::account, MethodNumber{"next"}, {}}; }
Action preverifyCallback() { return {AccountNumber{}, TransactQuery::account, MethodNumber{"preverify"}, {}}; }
Action finalCallback() { return {AccountNumber{}, TransactQuery::account, MethodNumber{"onFinal"}, {}}; }
/// `onTrx` looks here whether a transaction is queued or waited for, and does nothing when it is not: the node need not
/// call it then.
Action interest() {
   const auto place = [](Db db, std::uint16_t table, std::uint8_t index) {
      const auto owner = polis::sdk::detail::bigEndian(TransactQuery::account.value);
      Bytes out{static_cast<std::uint8_t>(db)};
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(&owner);
      out.insert(out.end(), bytes, bytes + sizeof owner);
      const auto prefix = polis::sdk::detail::makeKey(table, index);
      out.insert(out.end(), prefix.begin(), prefix.end());
      return out;
   };
   return {AccountNumber{}, TransactQuery::account, MethodNumber{"onTrx"},
           pack(std::vector{place(Db::subjective, TransactQuery::Pending::number, 1),
                            place(Db::session, TransactQuery::Clients::number, 0)})};
}

// --- What is read of a transaction without unpacking it all
// ------------------------------------------------------------

struct Envelope {
   SignedTransaction trx;
   Checksum256 id{};
   TimePointSec expiration;
   std::vector<Claim> claims;
   Checksum256 signedHash{}; ///< of it all, if there are claims: the id says nothing of proofs
};

Envelope openEnvelope(ByteView bytes) {
   Envelope result;
   check(bytes.size() <= TransactQuery::transactionBytesMax, "the transaction is too large");
   auto trx = unpackStrict<SignedTransaction>(bytes);
   check(trx.has_value(), "malformed transaction");
   result.trx = std::move(*trx);
   check(!result.trx.subjectiveData, "a pushed transaction has no subjective data");
   const auto& packed = result.trx.transaction.packed;
   check(validate<Transaction>(packed) == Validity::valid, "malformed transaction");
   result.id = sha256(ByteView(packed));
   result.expiration = {static_cast<std::int64_t>(loadU64(packed.data() + 2))};
   if (const auto offset = loadU32(packed.data() + 21))
      result.claims = unpackOrAbort<std::vector<Claim>>(ByteView(packed).subspan(21 + std::size_t{offset}));
   check(result.claims.size() <= TransactQuery::claimsMax, "the transaction has too many claims");
   if (!result.claims.empty())
      result.signedHash = sha256(bytes);
   return result;
}

/// Transact's own checks; returns whether authorization is enforced.
bool checkFirstAuth(const Envelope& envelope) {
   constexpr MethodNumber method{"checkFirstAuth"};
   const auto& packed = envelope.trx.transaction.packed;
   Bytes args{36, 0};
   args.reserve(38 + packed.size());
   append(args, envelope.id);
   append(args, Bytes{4, 0, 0, 0});
   append(args, packed);
   const auto size =
       callPacked(polis::sdk::detail::packAction(TransactQuery::account, Transact::account, method, args));
   std::uint8_t enforced = 0;
   if (size == 1)
      env::polis_getResult(&enforced, 1, 0);
   return enforced == 1;
}

/// Several producers, or soon: other nodes have to be told of transactions.
bool hasPeers() {
   const StatusView status;
   if (!status.exists())
      return false;
   const auto row = status.row();
   auto follow = [&](std::size_t slot) -> std::size_t {
      if (row.size() < slot + 4)
         return 0;
      const auto offset = loadU32(row.data() + slot);
      return offset >= 4 && offset < row.size() - slot ? slot + offset : 0;
   };
   const auto joint = follow(42);
   if (!joint || row.size() < joint + 6)
      return false;
   if (loadU16(row.data() + joint) > 4)
      return true; // a change is pending
   const auto current = follow(joint + 2);
   const auto data = current ? follow(current + 2) : 0;
   if (!data || row.size() < data + 11)
      return false;
   const auto producers = follow(data + 5 + 2);
   return producers && loadU32(row.data() + producers) / 4 > 1;
}

std::int64_t nowSeconds() {
   std::uint64_t ns = 0;
   env::polis_clockTimeGet(0, &ns);
   return static_cast<std::int64_t>(ns / 1'000'000'000);
}

// --- Answering
// ---------------------------------------------------------------------------------------------------------

Bytes traceOfError(std::string_view text) {
   TransactionTrace trace;
   trace.error = std::string(text);
   return pack(trace);
}

/// Whether a packed TransactionTrace says that the transaction failed.
bool traceFailed(ByteView trace) {
   if (trace.size() < 10 || loadU16(trace.data()) < 8)
      return false;
   return loadU32(trace.data() + 6) >= 4;
}

struct Answer {
   std::int32_t socket;
   bool json;
};

/// JSON of a trace. All who wait are answered in one context: what one has sent must not take the memory of the others'
/// answers.
std::string jsonOf(ByteView packed) {
   auto trace = unpackOrAbort<TransactionTrace>(packed);
   if (packed.size() > TransactQuery::jsonTraceBytesMax)
      trace.actionTraces.clear();
   return toJson(trace);
}

/// Answers all who wait for one trace.
void sendAll(const std::vector<Answer>& answers, ByteView trace) {
   std::string json;
   for (const auto& answer : answers) {
      HttpReply reply;
      if (answer.json) {
         if (json.empty())
            json = jsonOf(trace);
         reply.contentType = "application/json";
         reply.body = toBytes(json);
      } else {
         reply.contentType = "application/octet-stream";
         reply.body = toBytes(trace);
      }
      reply.headers = {{"Access-Control-Allow-Origin", "*"}};
      to<Http>().sendReply(answer.socket, reply);
   }
}

void send(const Answer& answer, ByteView trace) { sendAll({answer}, trace); }

/// Takes the waiting requests of a transaction out of the books; call within a subjective transaction, send after it.
/// final: those that wait for irreversibility too.
std::vector<Answer> takeClients(const Checksum256& id, bool final) {
   std::vector<Answer> answers;
   auto clients = open<TransactQuery::Clients>(Mode::readWrite);
   auto row = clients.get(id);
   if (!row)
      return answers;
   auto sockets = open<TransactQuery::ClientSockets>(Mode::readWrite);
   std::vector<TraceClientInfo> left;
   for (const auto& client : row->clients) {
      if (!final && client.waitFor != waitApplied) {
         left.push_back(client);
         continue;
      }
      const auto socket = sockets.get(client.socket);
      if (!socket || socket->id != id)
         continue; // the connection has gone, its number is in other use
      sockets.erase(client.socket);
      if (to<Http>().claimReply(client.socket))
         answers.push_back({client.socket, client.json});
   }
   if (left.empty())
      clients.erase(id);
   else if (left.size() != row->clients.size()) {
      row->clients = std::move(left);
      clients.put(*row);
   }
   return answers;
}

bool hasClients(const Checksum256& id) { return open<TransactQuery::Clients>(Mode::readWrite).contains(id); }

/// Remembers who waits. Within a subjective transaction.
void addClient(const Checksum256& id, TimePointSec expiration, std::int32_t socket, bool json, std::uint8_t waitFor) {
   auto clients = open<TransactQuery::Clients>(Mode::readWrite);
   auto row = clients.get(id).value_or(TraceClient{id, expiration, {}});
   std::erase_if(row.clients, [&](const TraceClientInfo& client) { return client.socket == socket; });
   row.clients.push_back({socket, json, waitFor});
   clients.put(row);
   open<TransactQuery::ClientSockets>(Mode::readWrite).put({socket, id});
   to<Http>().deferReply(socket);
}

// --- The queue
// ---------------------------------------------------------------------------------------------------------

/// Counts something that waits here. False: there is no room, and nothing was counted. Within a subjective transaction.
bool takeRoom(const Checksum256& id, std::uint64_t bytes) {
   auto shards = open<TransactQuery::PoolShards>(Mode::readWrite);
   const auto shard = static_cast<std::uint8_t>(id[0] % TransactQuery::poolShards);
   auto row = shards.get(shard).value_or(PoolShard{shard});
   if (row.count >= TransactQuery::shardCountMax || row.bytes + bytes > TransactQuery::shardBytesMax)
      return false;
   ++row.count;
   row.bytes += bytes;
   shards.put(row);
   return true;
}

void giveRoom(const Checksum256& id, std::uint64_t bytes) {
   auto shards = open<TransactQuery::PoolShards>(Mode::readWrite);
   auto row = shards.get(static_cast<std::uint8_t>(id[0] % TransactQuery::poolShards));
   if (!row)
      return; // it has waited since before there were counts
   if (row->count <= 1)
      return (void)shards.erase(row->shard);
   --row->count;
   row->bytes -= std::min(row->bytes, bytes);
   shards.put(*row);
}

/// What a transaction counts while it is verified; once verified, its row's size.
std::uint64_t roomOf(const UnverifiedTransaction& row) { return row.trx.size() + 64 * row.verifyIds.size(); }

/// The sequence under which a transaction is queued.
std::optional<std::uint64_t> sequenceOf(const Checksum256& id) {
   const KvSpace space{Db::subjective, TransactQuery::account.value, Mode::readWrite};
   const auto size = space.find(polis::sdk::detail::makeKey(TransactQuery::Pending::number, 1, id));
   if (size != 8)
      return std::nullopt;
   std::uint8_t key[8];
   env::polis_getResult(key, 8, 0);
   return polis::sdk::detail::bigEndian(loadU64(key));
}

/// Without reading the row, whose keys are known. Within a subjective transaction.
void erasePending(std::uint64_t sequence, const Checksum256& id) {
   const KvSpace space{Db::subjective, TransactQuery::account.value, Mode::readWrite};
   const auto primary = polis::sdk::detail::makeKey(TransactQuery::Pending::number, 0, sequence);
   if (const auto size = space.find(primary); size != env::none)
      giveRoom(id, size);
   space.remove(primary);
   space.remove(polis::sdk::detail::makeKey(TransactQuery::Pending::number, 1, id));
}

/// Sender of the first action of a packed SignedTransaction, which is valid; 0: it has none.
AccountNumber senderOf(ByteView trx) {
   const auto follow = [&](std::size_t slot) -> std::size_t {
      const auto offset = slot && slot + 4 <= trx.size() ? loadU32(trx.data() + slot) : 0;
      return offset >= 4 && offset < trx.size() - slot ? slot + offset : 0;
   };
   const auto transaction = follow(2); // its size is before it
   const auto actions = transaction ? follow(transaction + 4 + 17) : 0;
   const auto first = actions ? follow(actions + 4) : 0;
   return AccountNumber{first && first + 10 <= trx.size() ? loadU64(trx.data() + first + 2) : 0};
}

/// Below the time: tells apart more than can wait at once.
constexpr unsigned placeShift = 18;

GivenTime givenTime() {
   if (const auto given = open<TransactQuery::Given>(Mode::readWrite).get())
      return *given;
   // where places were mere numbers
   const auto counted = open<TransactQuery::Sequences>(Mode::readWrite).get().value_or(AvailableSequence{}).sequence;
   return {counted >> placeShift, {}};
}

Lane laneOf(AccountNumber sender) {
   return open<TransactQuery::Lanes>(Mode::readWrite).get(sender).value_or(Lane{sender});
}

/// The next place of a sender, for so many bytes: in the turn that is going on, as far as its part of that goes, or
/// later. Within a subjective transaction.
std::uint64_t takePlace(Lane& lane, std::size_t bytes) {
   constexpr std::uint64_t mask = (std::uint64_t{1} << placeShift) - 1;
   auto given = givenTime();
   auto sequences = open<TransactQuery::Sequences>(Mode::readWrite);
   const auto count = sequences.get().value_or(AvailableSequence{}).sequence + 1;
   sequences.put({count});
   // Numbers begin anew. At the time of a row with a greater one, what comes now would lie where the chain has passed,
   // once that row is given: so it comes behind all that is there.
   if ((count & mask) == 0) {
      given.until += 2 * TransactQuery::laneUnitsMax;
      open<TransactQuery::Given>(Mode::readWrite).put(given);
   }
   const auto turn = given.until - std::min(given.until, TransactQuery::turnUnits - 1);
   const auto begin = std::max(lane.next, turn);
   lane.next = begin + 1 + bytes / TransactQuery::unitBytes;
   open<TransactQuery::Lanes>(Mode::readWrite).put(lane);
   const auto pending = open<TransactQuery::Pending>(Mode::readWrite);
   auto time = std::max(begin, given.until);
   while (pending.contains(time << placeShift | (count & mask)))
      ++time;
   return time << placeShift | (count & mask);
}

/// A row of the queue without its place. Packing what is large takes a while, in which others would have taken theirs.
struct QueuedRow {
   AccountNumber sender;
   bool proven;
   Bytes packed;
};

QueuedRow queuedRow(const Checksum256& id, TimePointSec expiration, Bytes trx,
                    std::optional<std::vector<Bytes>> tokens) {
   const auto sender = senderOf(trx);
   const bool proven = tokens.has_value();
   return {sender, proven, pack(PendingTransaction{0, id, expiration, std::move(trx), std::move(tokens)})};
}

/// Puts a row where it is to be; its id is known to be in no other.
void putPending(std::uint64_t sequence, const Checksum256& id, Bytes& packed) {
   constexpr std::size_t sequenceAt = 2;
   std::memcpy(packed.data() + sequenceAt, &sequence, sizeof sequence);
   const KvSpace space{Db::subjective, TransactQuery::account.value, Mode::readWrite};
   const auto primary = polis::sdk::detail::makeKey(TransactQuery::Pending::number, 0, sequence);
   space.put(primary, packed);
   space.put(polis::sdk::detail::makeKey(TransactQuery::Pending::number, 1, id),
             ByteView(primary).subspan(polis::sdk::detail::tablePrefixSize));
}

/// Puts a verified transaction into the queue and wakes the producer. False: there is no room. Within a subjective
/// transaction.
bool enqueue(const Checksum256& id, QueuedRow& row) {
   auto lane = laneOf(row.sender);
   if (lane.next > givenTime().until + TransactQuery::laneUnitsMax || !takeRoom(id, row.packed.size()))
      return false;
   putPending(takePlace(lane, row.packed.size()), id, row.packed);
   if (row.proven)
      to<XTransact>().addCallback(preverifyType, preverifyCallback());
   to<XTransact>().addCallback(nextTransactionType, nextCallback());
   return true;
}

/// Whether the chain holds a transaction, as far as head.
bool isIncluded(const Checksum256& id, TimePointSec expiration) {
   const KvSpace chain{Db::service, Transact::account.value};
   return chain.find(polis::sdk::detail::makeKey(Transact::IncludedTable::number, 0, expiration, id)) != env::none;
}

void updateStats(void (*change)(TxStats&)) {
   auto table = open<TransactQuery::Stats>(Mode::readWrite);
   auto row = table.get().value_or(TxStats{});
   change(row);
   table.put(row);
}

/// Drops a transaction that cannot succeed here. Answers those who wait for `applied`; the others when it can no longer
/// be included anywhere, which is now if no other node makes blocks. Within a subjective transaction.
std::vector<Answer> drop(const Checksum256& id, TimePointSec expiration, ByteView trace) {
   if (const auto sequence = sequenceOf(id))
      erasePending(*sequence, id);
   auto answers = takeClients(id, !hasPeers());
   if (hasClients(id)) {
      auto kept = toBytes(trace);
      if (kept.size() > TransactQuery::failedTraceBytesMax) {
         auto error = unpackOrAbort<TransactionTrace>(trace).error.value_or(std::string());
         error.resize(std::min(error.size(), TransactQuery::failedErrorBytesMax));
         kept = traceOfError(error);
      }
      auto failed = open<TransactQuery::Failed>(Mode::readWrite);
      if (const auto before = failed.get(expiration, id)) // sent once more, and failed once more
         giveRoom(id, before->trace.size());
      if (takeRoom(id, kept.size()))
         failed.put({expiration, id, std::move(kept)});
      else
         for (const auto& answer : takeClients(id, true))
            answers.push_back(answer);
   }
   updateStats([](TxStats& stats) { ++stats.failed; });
   return answers;
}

/// Posts the verification of every proof. False: there is no room. Within a subjective transaction.
bool startVerification(const Envelope& envelope, Bytes packed) {
   const auto& [trx, id, expiration, claims, signedHash] = envelope;
   UnverifiedTransaction row{id,
                             signedHash,
                             expiration,
                             std::move(packed),
                             std::vector<std::uint64_t>(claims.size()),
                             std::vector<Bytes>(claims.size())};
   if (!takeRoom(id, roomOf(row)))
      return false;
   auto verifies = open<TransactQuery::PendingVerifies>(Mode::readWrite);
   constexpr MethodNumber callback{"onVerify"};
   for (std::size_t i = 0; i < claims.size(); ++i) {
      const auto verifyId = to<XRun>().verify(id, claims[i], trx.proofs[i], verifyMaxUs, callback);
      verifies.put({verifyId, id, signedHash, static_cast<std::uint32_t>(i)});
      row.verifyIds[i] = verifyId;
   }
   open<TransactQuery::Unverified>(Mode::readWrite).put(row);
   return true;
}

void removeUnverified(const UnverifiedTransaction& row) {
   giveRoom(row.id, roomOf(row));
   open<TransactQuery::Unverified>(Mode::readWrite).remove(row);
}

void forward(const Bytes& trx) { to<Http>().sendProds(action<TransactQuery>(TransactQuery::account).recv(trx)); }

/// Tries the transaction on this node before it is sent to the other producers. Within a subjective transaction.
void startSpeculativeRun(const Checksum256& id, const SignedTransaction& trx) {
   constexpr MethodNumber callback{"onSpecTrx"};
   const auto runId = to<XRun>().post(RunMode::speculative,
                                      action<Transact>(TransactQuery::account).execTrx(trx.transaction.packed, true),
                                      speculativeMaxUs, callback);
   open<TransactQuery::SpeculativeRuns>(Mode::readWrite).put({runId, id});
}

enum class Admission { fresh, known, full };

/// What is queued at once, for it has nothing to verify.
std::optional<QueuedRow> rowToQueue(const Envelope& envelope, const Bytes& packed) {
   if (!envelope.claims.empty())
      return std::nullopt;
   return queuedRow(envelope.id, envelope.expiration, packed, std::nullopt);
}

/// Takes in a transaction, unless it is known already. Within a subjective transaction.
/// row: of the queue, where there is nothing to verify.
Admission admit(const Envelope& envelope, const Bytes& packed, std::optional<QueuedRow>& row) {
   if (sequenceOf(envelope.id))
      return Admission::known;
   if (!row && open<TransactQuery::Unverified>(Mode::readWrite).contains(envelope.id, envelope.signedHash))
      return Admission::known;
   const bool taken = row ? enqueue(envelope.id, *row) : startVerification(envelope, packed);
   return taken ? Admission::fresh : Admission::full;
}

void checkProofCount(const Envelope& envelope) {
   check(envelope.trx.proofs.size() == envelope.claims.size(), "proofs and claims must have same size");
}

// --- HTTP
// --------------------------------------------------------------------------------------------------------------

/// Quality that an Accept header gives a media type, in thousandths; none: not listed.
int acceptQuality(std::string_view accept, std::string_view type) {
   int best = -1;
   const auto family = std::string(type.substr(0, type.find('/'))) + "/*";
   int bestRank = -1;
   while (!accept.empty()) {
      auto item = accept.substr(0, accept.find(','));
      accept.remove_prefix(std::min(accept.size(), item.size() + 1));
      int quality = 1000;
      std::string_view name = item.substr(0, item.find(';'));
      while (!name.empty() && name.front() == ' ')
         name.remove_prefix(1);
      while (!name.empty() && name.back() == ' ')
         name.remove_suffix(1);
      if (const auto q = item.find("q="); q != std::string_view::npos) {
         const auto text = item.substr(q + 2);
         quality = 0;
         int scale = 1000;
         for (const char c : text) {
            if (c == '.')
               continue;
            if (c < '0' || c > '9' || scale == 0)
               break;
            quality += (c - '0') * scale;
            scale /= 10;
         }
      }
      const int rank = equalIgnoringCase(name, type) ? 2 : equalIgnoringCase(name, family) ? 1 : name == "*/*" ? 0 : -1;
      if (rank >= 0 && rank >= bestRank) {
         bestRank = rank;
         best = quality;
      }
   }
   return best;
}

bool wantsJson(const HttpRequest& request) {
   const auto accept = headerOf(request, "Accept");
   if (!accept || accept->empty())
      return true;
   return acceptQuality(*accept, "application/json") >= acceptQuality(*accept, "application/octet-stream");
}

/// CORS headers for pages of this network's subdomains only.
std::vector<HttpHeader> siblingCors(const HttpRequest& request, std::string_view methods) {
   const auto origin = headerOf(request, "Origin");
   if (!origin)
      return {};
   auto host = origin->substr(std::min(
       origin->size(), origin->find("://") == std::string_view::npos ? origin->size() : origin->find("://") + 3));
   host = host.substr(0, host.find(':'));
   const auto root = to<Http>().rootHost(request.host);
   const bool within = host == root || (host.size() > root.size() && host.ends_with(root) &&
                                        host[host.size() - root.size() - 1] == '.');
   if (!within)
      return {};
   return {{"Access-Control-Allow-Origin", std::string(*origin)},
           {"Access-Control-Allow-Methods", std::string(methods)},
           {"Access-Control-Allow-Headers", "*"}};
}

std::optional<HttpReply> push(const HttpRequest& request, std::optional<std::int32_t> socket) {
   if (request.method == "OPTIONS")
      return httpReply(200, "", "", siblingCors(request, "POST, OPTIONS"));
   if (request.method != "POST")
      return methodNotAllowed("POST, OPTIONS");
   if (mediaTypeOf(request) != "application/octet-stream")
      return httpReply(415, "text/html", "Content-Type must be application/octet-stream\n",
                       {{"Access-Control-Allow-Origin", "*"}});
   const auto wait = queryParameter(request, "wait_for").value_or("final");
   check(wait == "final" || wait == "applied" || wait == "none", "wait_for must be final, applied or none");
   check(socket.has_value(), "missing socket");
   const bool json = wantsJson(request);
   const auto envelope = openEnvelope(request.body);
   checkProofCount(envelope);
   const bool enforced = checkFirstAuth(envelope);
   const bool peers = hasPeers();
   auto row = rowToQueue(envelope, request.body);
   auto admission = Admission::full;
   subjectively([&] {
      // a failure of an earlier attempt says nothing about this one
      admission = admit(envelope, request.body, row);
      if (admission == Admission::full)
         return;
      if (wait != "none")
         addClient(envelope.id, envelope.expiration, *socket, json, wait == "final" ? waitFinal : waitApplied);
      if (admission == Admission::fresh && peers && enforced && envelope.claims.empty())
         startSpeculativeRun(envelope.id, envelope.trx);
   });
   if (admission == Admission::full)
      return httpReply(503, "text/html", "Too many transactions wait at this node. Try again soon.\n",
                       {{"Access-Control-Allow-Origin", "*"}});
   // with one producer there is nobody to send it to, and it is executed right away: trying it before would only cost
   // time
   if (admission == Admission::fresh && peers && !enforced && envelope.claims.empty())
      forward(request.body);
   if (wait == "none")
      return httpReply(202, "application/json", "{\"id\":\"" + toHex(ByteView(envelope.id)) + "\"}");
   return std::nullopt;
}

std::array<std::uint8_t, 16> jwtKey() {
   return subjectively([] {
      auto keys = open<TransactQuery::JwtKeys>(Mode::readWrite);
      auto row = keys.get();
      if (!row) {
         row.emplace();
         env::polis_getRandom(row->key.data(), static_cast<std::uint32_t>(row->key.size()));
         keys.put(*row);
      }
      return row->key;
   });
}

std::string makeToken(AccountNumber user, std::string audience) {
   return makeLoginToken(jwtKey(), {user, std::move(audience), nowSeconds() + loginLifetimeSec});
}

HttpReply badLogin(std::string_view text) {
   return httpReply(400, "text/html", std::string(text) + "\n", {{"Access-Control-Allow-Origin", "*"}});
}

HttpReply loginRequest(const HttpRequest& request) {
   if (request.method == "OPTIONS")
      return httpReply(200, "", "", allowCors());
   if (request.method != "POST")
      return methodNotAllowed("POST, OPTIONS");
   const auto trx = unpack<SignedTransaction>(request.body);
   if (!trx)
      return badLogin("malformed transaction");
   const auto inner = unpackStrict<Transaction>(trx->transaction.packed);
   if (!inner)
      return badLogin("malformed transaction");
   if (inner->actions.size() != 1)
      return badLogin("a login has one action");
   const auto& login = inner->actions[0];
   constexpr MethodNumber loginSys{"loginSys"};
   if (login.method != loginSys)
      return badLogin("the action must be loginSys");
   if (!(inner->tapos.flags & Tapos::doNotBroadcast))
      return badLogin("do_not_broadcast flag must be set");
   if (inner->tapos.expiration.seconds <= nowSeconds())
      return badLogin("the transaction has expired");
   const auto root = to<Http>().rootHost(request.host);
   const auto args = unpack<LoginArgs>(login.rawData);
   if (!args || args->rootHost != root)
      return badLogin("the login is for another host");
   if (trx->proofs.size() != inner->claims.size())
      return badLogin("proofs and claims must have same size");
   // accounts and their auth services are read where `accounts` keeps them
   const KvSpace accounts{Db::service, AccountNumber{"accounts"}.value};
   const auto size = accounts.find(polis::sdk::detail::makeKey(1, 0, login.sender));
   if (size == env::none)
      return httpReply(404, "text/html", "no such account\n", {{"Access-Control-Allow-Origin", "*"}});
   std::uint8_t row[18];
   check(env::polis_getResult(row, sizeof row, 0) >= sizeof row, "malformed account");
   const AccountNumber authService{loadU64(row + 10)};
   const auto id = sha256(ByteView(trx->transaction.packed));
   constexpr MethodNumber verifySys{"verifySys"};
   for (std::size_t i = 0; i < inner->claims.size(); ++i)
      callRaw(TransactQuery::account, inner->claims[i].service, verifySys,
              pack(VerifyArgs{id, inner->claims[i], trx->proofs[i]}));
   // the kind of question that a top action asks, about an action without a name
   constexpr MethodNumber checkAuthSys{"checkAuthSys"};
   constexpr std::uint32_t flags = 0x8000'0000 | 0x4000'0000 | 1;
   const auto answer =
       callRaw(TransactQuery::account, authService, checkAuthSys,
               pack(std::tuple(flags, AccountNumber{}, login.sender, ServiceMethod{login.service, MethodNumber{}},
                               std::vector<ServiceMethod>(), inner->claims)));
   if (answer != Bytes{1})
      return badLogin("not authorized");
   std::string body;
   JsonWriter writer(body);
   writer.beginObject();
   writer.key("access_token");
   writer.string(makeToken(login.sender, root));
   writer.key("token_type");
   writer.string("bearer");
   writer.endObject();
   return jsonTextReply(body);
}

HttpReply stats() {
   const auto row = subjectively([] {
      auto result = open<TransactQuery::Stats>(Mode::readWrite).get().value_or(TxStats{});
      const KvSpace space{Db::subjective, TransactQuery::account.value, Mode::readWrite};
      const auto prefix = polis::sdk::detail::makeKey(TransactQuery::Pending::number, 0);
      for (Bytes at = prefix; space.greaterEqual(at, static_cast<std::uint32_t>(prefix.size())) != env::none;
           at.push_back(0)) {
         at = polis::sdk::detail::takeKey();
         ++result.unprocessed;
      }
      result.total = result.unprocessed + result.failed + result.succeeded + result.expired;
      return result;
   });
   return httpReply(200, "application/json", toJson(row));
}

// --- The life of a transaction in blocks
// -------------------------------------------------------------------------------

std::int64_t nowUs() {
   std::uint64_t ns = 0;
   env::polis_clockTimeGet(1, &ns);
   return static_cast<std::int64_t>(ns / 1000);
}

/// The time that a failure has taken, others have waited. Within a subjective transaction.
void chargeFailure(AccountNumber sender, std::int64_t us) {
   auto lane = laneOf(sender);
   const auto units = static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0)) / TransactQuery::unitUs + 1;
   lane.debt = std::min(lane.debt + units, TransactQuery::debtMax);
   open<TransactQuery::Lanes>(Mode::readWrite).put(lane);
}

/// A sender that owes a whole turn goes behind what it has in the queue; what is as large as a turn stays, for it has
/// been given a place of that size. False: it does not. Within a subjective transaction.
bool sendBack(PendingTransaction& row) {
   if (row.trx.size() > largestSentBack)
      return false;
   auto lane = laneOf(senderOf(row.trx));
   if (lane.debt < TransactQuery::turnUnits)
      return false;
   lane.debt -= TransactQuery::turnUnits;
   const auto place = takePlace(lane, row.trx.size());
   const KvSpace space{Db::subjective, TransactQuery::account.value, Mode::readWrite};
   space.remove(polis::sdk::detail::makeKey(TransactQuery::Pending::number, 0, row.sequence));
   auto packed = pack(row);
   putPending(place, row.id, packed);
   return true;
}

/// A row is handed to the chain. Its turn is that of all that lies close behind it; what comes from now on is placed at
/// the end of that. Within a subjective transaction.
void give(std::uint64_t sequence) {
   constexpr int lanesPerTurn = 16;
   auto given = givenTime();
   const auto time = sequence >> placeShift;
   if (time <= given.until)
      return;
   given.until = time + TransactQuery::turnUnits - 1;
   // lanes of senders that have nothing in the queue any more, and have sat out what they owed
   auto lanes = open<TransactQuery::Lanes>(Mode::readWrite);
   std::vector<Lane> seen;
   for (const auto& lane : lanes.index<0>().range().from(given.sweep)) {
      seen.push_back(lane);
      if (seen.size() == lanesPerTurn)
         break;
   }
   for (const auto& lane : seen)
      if (lane.next + lane.debt <= given.until)
         lanes.erase(lane.sender);
   given.sweep = AccountNumber{seen.size() == lanesPerTurn ? seen.back().sender.value + 1 : 0};
   open<TransactQuery::Given>(Mode::readWrite).put(given);
}

/// A transaction was executed, here or in a block of another producer. trace: packed.
/// fetchTrace: gives the packed trace, which is large; asked only when somebody wants it.
template <class F>
void executed(const Checksum256& id, bool failed, F&& fetchTrace) {
   struct Waiting {
      bool queued = false, clients = false;
   };
   const auto waiting = subjectively([&] { return Waiting{sequenceOf(id).has_value(), hasClients(id)}; });
   if (!waiting.queued && !waiting.clients)
      return;
   if (failed) {
      const Bytes trace = fetchTrace();
      const auto givenUs = open<TransactQuery::Unapplied>().get().value_or(UnappliedTransaction{}).givenUs;
      const auto answers = subjectively([&] {
         const auto sequence = sequenceOf(id);
         const auto row = sequence ? open<TransactQuery::Pending>(Mode::readWrite).get(*sequence) : std::nullopt;
         if (row && givenUs)
            chargeFailure(senderOf(row->trx), nowUs() - *givenUs);
         const auto client = open<TransactQuery::Clients>(Mode::readWrite).get(id);
         const auto expiration = row ? row->expiration : client ? client->expiration : TimePointSec{};
         return drop(id, expiration, trace);
      });
      return sendAll(answers, trace);
   }
   bool keepTrace = false;
   const auto answers = subjectively([&] {
      auto result = takeClients(id, false);
      keepTrace = hasClients(id);
      return result;
   });
   const Bytes trace = keepTrace || !answers.empty() ? fetchTrace() : Bytes();
   if (waiting.queued || keepTrace)
      open<TransactQuery::Applied>().put({StatusView().blockNum(), id, keepTrace ? trace : Bytes()});
   sendAll(answers, trace);
}

/// With several producers: what came after the block that holds it is dropped; where it was pushed it waits until it is
/// irreversible. Within a subjective transaction.
void tidyPending(BlockNum final, BlockNum head) {
   constexpr std::size_t rowsPerBlock = 200;
   constexpr BlockNum blocksMax = 16;
   auto applied = open<TransactQuery::Applied>();
   std::vector<std::pair<std::uint64_t, Checksum256>> late;
   std::size_t count = 0;
   for (const auto& row : open<TransactQuery::Pending>(Mode::readWrite)) {
      if (++count > rowsPerBlock || head - final > blocksMax)
         break;
      if (!isIncluded(row.id, row.expiration) || hasClients(row.id))
         continue;
      bool known = false;
      for (BlockNum num = final + 1; num <= head && !known; ++num)
         known = applied.contains(num, row.id);
      if (!known)
         late.emplace_back(row.sequence, row.id);
   }
   for (const auto& [sequence, id] : late)
      erasePending(sequence, id);
}

/// Everything of one transaction that timed out without having been included.
std::vector<Answer> expire(const Checksum256& id) {
   updateStats([](TxStats& stats) { ++stats.expired; });
   return takeClients(id, true);
}

/// Up to this time, in seconds, all blocks that could hold a transaction are irreversible, and what they held has left
/// the queue.
std::int64_t finalSeconds() {
   const auto num =
       subjectively([] { return open<FinalBlocks>(Mode::readWrite).get().value_or(FinalBlock{}).blockNum; });
   const auto block = open<ReversibleBlocks>().get(num);
   return block ? block->time.microseconds / 1'000'000 : 0;
}

/// Ids of what blocks hold that may still be undone, and was queued or waited for here; sorted. The chain forgets them
/// when their time is over.
std::vector<Checksum256> reversibleIds() {
   constexpr std::size_t idsMax = 10'000, idAt = 3 + 4;
   std::vector<Checksum256> out;
   const KvSpace space{Db::writeOnly, TransactQuery::account.value};
   Bytes at = polis::sdk::detail::makeKey(TransactQuery::Applied::number, 0);
   while (out.size() < idsMax && space.greaterEqual(at, 3) != env::none) {
      at = polis::sdk::detail::takeKey();
      if (at.size() == idAt + sizeof(Checksum256))
         std::copy_n(at.begin() + idAt, sizeof(Checksum256), out.emplace_back().begin());
      at.push_back(0);
   }
   std::sort(out.begin(), out.end());
   return out;
}

/// Of the queue: what is in no block though its time is over, among the next rows that are looked at, and up to where
/// that is. Senders take turns there, so that what lives long says nothing about what lies behind it.
struct Sweep {
   std::vector<std::pair<std::uint64_t, Checksum256>> late;
   QueueSweep until;
};

/// A subjective transaction of its own, which writes nothing: so it conflicts with nobody who queues.
/// seconds: when the time was over. held: ids that are in blocks all the same, sorted.
Sweep sweepQueue(std::int64_t seconds, const std::vector<Checksum256>& held = {}) {
   return subjectively([&] {
      Sweep result;
      const auto from = open<TransactQuery::Sweeps>(Mode::readWrite).get().value_or(QueueSweep{}).from;
      const KvSpace space{Db::subjective, TransactQuery::account.value, Mode::readWrite};
      const auto table = polis::sdk::detail::makeKey(TransactQuery::Pending::number, 0);
      Bytes at = polis::sdk::detail::makeKey(TransactQuery::Pending::number, 0, from);
      std::size_t rows = 0, bytes = 0;
      while (rows < sweptPerCall && bytes < sweptBytes && result.late.size() < expiredPerCall) {
         const auto size = space.greaterEqual(at, static_cast<std::uint32_t>(table.size()));
         if (size == env::none) {
            result.until = {};
            return result;
         }
         ++rows;
         bytes += size;
         // sequence, id and expiration stand in front
         std::uint8_t head[2 + 8 + 32 + 8] = {};
         env::polis_getResult(head, sizeof head, 0);
         at = polis::sdk::detail::takeKey();
         at.push_back(0);
         const std::uint64_t sequence = loadU64(head + 2);
         Checksum256 id;
         std::copy_n(head + 10, id.size(), id.begin());
         const TimePointSec expiration{static_cast<std::int64_t>(loadU64(head + 42))};
         result.until = {sequence + 1};
         if (expiration.seconds <= seconds && !isIncluded(id, expiration) &&
             !std::binary_search(held.begin(), held.end(), id))
            result.late.emplace_back(sequence, id);
      }
      return result;
   });
}

/// Takes out what is in no block though its time was over, and those who wait for it: of the queue, what the sweep has
/// found; of what is still to be verified, what was too late at `seconds`. Within a subjective transaction.
std::vector<Answer> dropExpired(const Sweep& sweep, std::int64_t seconds) {
   std::vector<Answer> answers;
   const auto tell = [&](const Checksum256& id) {
      for (const auto& answer : expire(id))
         answers.push_back(answer);
   };
   const auto sweeps = open<TransactQuery::Sweeps>(Mode::readWrite);
   if (sweeps.get().value_or(QueueSweep{}).from != sweep.until.from)
      sweeps.put(sweep.until);
   for (const auto& [sequence, id] : sweep.late)
      if (sequenceOf(id) == sequence) {
         erasePending(sequence, id);
         tell(id);
      }
   std::vector<UnverifiedTransaction> unverified;
   for (const auto& row : open<TransactQuery::Unverified>(Mode::readWrite).index<1>()) {
      if (row.expiration.seconds > seconds || unverified.size() == expiredPerCall)
         break;
      unverified.push_back(row);
   }
   for (const auto& row : unverified) {
      removeUnverified(row);
      tell(row.id);
   }
   return answers;
}

/// Answers those whose transaction's time has long been over by the clock: the chain stands still here, and cannot tell
/// what has become of it.
void answerLate() {
   struct Late {
      std::vector<Answer> missing, included;
   };
   const std::int64_t seconds = nowSeconds() - lateSec;
   // A chain whose time is another, as a test's is, goes by its own: here nothing can be sent whose time is not over.
   if (seconds - StatusView().time().microseconds / 1'000'000 > Transact::lifetimeMaxS)
      return;
   const auto held = reversibleIds();
   const auto sweep = sweepQueue(seconds, held);
   const auto late = subjectively([&] {
      Late result;
      result.missing = dropExpired(sweep, seconds);
      std::vector<TraceClient> waiting;
      for (const auto& row : open<TransactQuery::Clients>(Mode::readWrite).index<1>()) {
         if (row.expiration.seconds > seconds || waiting.size() == expiredPerCall)
            break;
         waiting.push_back(row);
      }
      for (const auto& row : waiting)
         for (const auto& answer : takeClients(row.id, true))
            (isIncluded(row.id, row.expiration) || std::binary_search(held.begin(), held.end(), row.id)
                 ? result.included
                 : result.missing)
                .push_back(answer);
      return result;
   });
   const auto sendText = [](const std::vector<Answer>& answers, const std::string& text) {
      for (const auto& answer : answers)
         to<Http>().sendReply(answer.socket, httpReply(504, "text/html", text, {{"Access-Control-Allow-Origin", "*"}}));
   };
   if (late.missing.empty() && late.included.empty())
      return;
   const auto head = std::to_string(StatusView().headNum());
   sendText(late.missing, "The transaction's time is over, and it is in no block that this node knows; the newest is " +
                              head + ". Unless another node has put it into a later one, it has failed.\n");
   sendText(late.included,
            "The transaction is in a block, but this node has not heard that it is irreversible. Whether "
            "it stays there is known when the chain goes on.\n");
}

/// Verification again, of all that waits, after a verify service has changed.
void reverify(std::uint64_t cursor) {
   struct Item {
      std::uint64_t sequence;
      Envelope envelope;
      Bytes trx;
   };
   subjectively([&] {
      std::vector<Item> items;
      for (const auto& row : open<TransactQuery::Pending>(Mode::readWrite).index<0>().range().from(cursor))
         if (row.tokens)
            items.push_back({row.sequence, openEnvelope(row.trx), row.trx});
      for (auto& item : items) {
         erasePending(item.sequence, item.envelope.id);
         // its place is free again, and it takes hardly more
         (void)startVerification(item.envelope, std::move(item.trx));
      }
   });
}

std::uint64_t verifySequence() {
   const auto row = openOf<SetCode::VerifySequences>(SetCode::account).get();
   return row ? row->seq : 0;
}

bool isMonitoring() {
   const auto row = openOf<Transact::MonitoringTable>(Transact::account).get();
   return row && row->enabled;
}

/// What is next in the queue, and who is told that theirs is too late.
struct Next {
   std::optional<PendingTransaction> row;
   std::vector<std::pair<Answer, Checksum256>> expired;
   bool more = true; ///< where no row is given: whether some were not looked at
};

/// Takes out what is too late on the way, as much as one commit should hold. Within a subjective transaction.
Next takeNext(const StatusView& status, std::uint64_t from) {
   constexpr std::int64_t second = 1'000'000;
   Next result;
   const auto pending = open<TransactQuery::Pending>(Mode::readWrite).index<0>();
   std::size_t late = 0, sentBack = 0;
   while (late < expiredPerCall) {
      const auto rest = pending.range().from(from);
      const auto at = rest.begin();
      if (at == rest.end()) {
         to<XTransact>().removeCallback(nextTransactionType, nextCallback());
         result.more = false;
         break;
      }
      PendingTransaction row = *at;
      from = row.sequence + 1;
      if (status.time().microseconds >= row.expiration.seconds * second) {
         ++late;
         erasePending(row.sequence, row.id);
         for (const auto& answer : expire(row.id))
            result.expired.emplace_back(answer, row.id);
      } else if (isIncluded(row.id, row.expiration)) {
         continue; // another producer was faster
      } else if (sentBack < sentBackPerCall && sendBack(row)) {
         ++sentBack;
      } else {
         give(row.sequence);
         result.row = std::move(row);
         break;
      }
   }
   return result;
}

/// The next transaction's bytes, with the offset word of a present optional before them; nothing when none waits.
std::optional<Bytes> nextPacked() {
   const StatusView status;
   auto cursors = open<TransactQuery::Unapplied>();
   auto cursor = cursors.get().value_or(UnappliedTransaction{});
   const auto block = status.blockNum();
   if (cursor.blockNum != block) {
      cursor.blockNum = block;
      cursor.blockBytes = 0;
   }
   if (cursor.blockBytes >= blockBytesMax)
      return std::nullopt;
   // of a block's first transaction it is not asked, so that there is always a next one
   if (cursor.blockBytes > 0 && isMonitoring() && !to<VirtualServer>().can_push_tx())
      return std::nullopt;
   Next found;
   // However much is too late: what lives does not wait for another block.
   while (!found.row && found.more) {
      found = subjectively([&] { return takeNext(status, cursor.nextSequence); });
      for (const auto& [answer, id] : found.expired)
         send(answer, traceOfError("Transaction expired"));
   }
   if (!found.row)
      return std::nullopt;
   cursor.nextSequence = found.row->sequence + 1;
   cursor.blockBytes += found.row->trx.size();
   cursor.givenUs = nowUs();
   cursors.put(cursor);
   Bytes result{4, 0, 0, 0};
   append(result, found.row->trx);
   return result;
}

} // namespace

std::optional<SignedTransaction> TransactQuery::next() {
   const auto packed = nextPacked();
   if (!packed)
      return std::nullopt;
   return unpackOrAbort<std::optional<SignedTransaction>>(*packed);
}

std::optional<std::vector<std::optional<Bytes>>> TransactQuery::preverify(SignedTransaction trx) {
   const auto id = transactionId(trx);
   const auto tokens = subjectively([&]() -> std::optional<std::vector<Bytes>> {
      const auto sequence = sequenceOf(id);
      if (!sequence)
         return std::nullopt;
      auto row = open<Pending>(Mode::readWrite).get(*sequence);
      return row ? std::move(row->tokens) : std::nullopt;
   });
   if (!tokens)
      return std::nullopt;
   std::vector<std::optional<Bytes>> result;
   for (const auto& token : *tokens)
      result.push_back(token.empty() ? std::nullopt : std::optional(token));
   return result;
}

void TransactQuery::recv(Bytes trx) {
   check(getSender() == Http::account, "transactions of other nodes come through http");
   const auto envelope = openEnvelope(trx);
   checkProofCount(envelope);
   // the block was faster than the transaction
   if (isIncluded(envelope.id, envelope.expiration))
      return;
   checkFirstAuth(envelope);
   auto row = rowToQueue(envelope, trx);
   subjectively([&] { (void)admit(envelope, trx, row); });
}

void TransactQuery::onTrx(Checksum256 id, TransactionTrace trace) {
   check(getSender() == AccountNumber{}, "only the node tells of transactions");
   executed(id, trace.error && !trace.error->empty(), [&] { return pack(trace); });
}

void TransactQuery::onBlock() {
   check(getSender() == AccountNumber{}, "only the node tells of blocks");
   const StatusView status;
   const auto head = status.headNum();
   open<ReversibleBlocks>().put({head, status.time()});
   const auto now = status.time().microseconds / 1'000'000;

   struct Work {
      BlockNum final = 0;
      std::vector<Answer> expired;
      bool reverify = false;
   };
   const auto seq = verifySequence();
   const bool peers = hasPeers();
   const auto sweep = sweepQueue(std::min(now - 1, finalSeconds()));
   const auto work = subjectively([&] {
      Work result;
      to<XTransact>().addCallback(finalType, finalCallback());
      to<XTransact>().addCallback(interestType, interest());
      result.final = open<FinalBlocks>(Mode::readWrite).get().value_or(FinalBlock{}).blockNum;

      result.expired = dropExpired(sweep, now - 1);
      if (peers)
         tidyPending(result.final, head);
      // Blocks can be lost, by a fork or a crash, and with them what they held: it is here still.
      if (open<Pending>(Mode::readWrite).first())
         to<XTransact>().addCallback(nextTransactionType, nextCallback());
      auto table = open<ReverifiedTable>(Mode::readWrite);
      const auto known = table.get();
      if (!known || known->seq != seq) {
         result.reverify = known.has_value();
         table.put({seq});
      }
      return result;
   });
   for (const auto& answer : work.expired)
      send(answer, traceOfError("Transaction expired"));
   if (work.reverify)
      reverify(open<Unapplied>().get().value_or(UnappliedTransaction{}).nextSequence);

   // rows of blocks that everybody has been told of
   const KvSpace space{Db::writeOnly, account.value};
   auto eraseBefore = [&](std::uint16_t table, BlockNum end) {
      const auto stop = polis::sdk::detail::makeKey(table, 0, end);
      Bytes at = polis::sdk::detail::makeKey(table, 0);
      while (space.greaterEqual(at, 3) != env::none) {
         at = polis::sdk::detail::takeKey();
         if (at >= stop)
            break;
         space.remove(at);
      }
   };
   eraseBefore(Applied::number, work.final + 1);
   eraseBefore(ReversibleBlocks::number, work.final);
}

namespace {

void answerFinal(BlockNum blockNum) {
   struct Reply {
      std::vector<Answer> answers;
      Bytes trace;
      BlockNum appliedIn = 0; ///< then its trace is read when it is sent: together they may be too large
      Checksum256 id{};
   };
   const auto replies = subjectively([&] {
      std::vector<Reply> result;
      auto finals = open<FinalBlocks>(Mode::readWrite);
      const auto done = finals.get().value_or(FinalBlock{}).blockNum;
      if (blockNum <= done)
         return result;
      std::uint64_t count = 0;
      for (auto& row : open<TransactQuery::Applied>().index<0>().range().from(done + 1)) {
         if (row.blockNum > blockNum)
            break;
         if (const auto sequence = sequenceOf(row.id))
            erasePending(*sequence, row.id);
         // whoever sent it once more after it was executed was too late for its trace
         if (!row.trace.empty() || hasClients(row.id))
            if (auto answers = takeClients(row.id, true); !answers.empty())
               result.push_back({std::move(answers), {}, row.blockNum, row.id});
         ++count;
      }
      if (count) {
         auto table = open<TransactQuery::Stats>(Mode::readWrite);
         auto row = table.get().value_or(TxStats{});
         row.succeeded += count;
         table.put(row);
      }
      // failures that no block can turn into a success any more
      if (const auto block = open<ReversibleBlocks>().get(blockNum)) {
         std::vector<TxFailed> over;
         for (const auto& row : open<TransactQuery::Failed>(Mode::readWrite)) {
            if (row.expiration.seconds * 1'000'000 > block->time.microseconds || over.size() == expiredPerCall)
               break;
            over.push_back(row);
         }
         for (auto& row : over) {
            giveRoom(row.id, row.trace.size());
            open<TransactQuery::Failed>(Mode::readWrite).remove(row);
            if (auto answers = takeClients(row.id, true); !answers.empty())
               result.push_back({std::move(answers), std::move(row.trace), 0, {}});
         }
      }
      finals.put({blockNum});
      return result;
   });
   for (const auto& reply : replies) {
      if (!reply.appliedIn) {
         sendAll(reply.answers, reply.trace);
         continue;
      }
      const auto row = open<TransactQuery::Applied>().get(reply.appliedIn, reply.id);
      sendAll(reply.answers, row && !row->trace.empty() ? row->trace : traceOfError("duplicate transaction"));
   }
}

} // namespace

void TransactQuery::onFinal(std::uint32_t blockNum) {
   check(getSender() == AccountNumber{}, "only the node tells of irreversible blocks");
   answerFinal(blockNum);
   answerLate();
}

void TransactQuery::onVerify(std::uint64_t id, TransactionTrace trace, std::optional<Bytes> token) {
   check(getSender() == AccountNumber{} || getSender() == XRun::account, "only the run queue reports");
   const bool failed = trace.error && !trace.error->empty();
   const Bytes packedTrace = failed ? pack(trace) : Bytes();
   const bool peers = hasPeers();
   struct Outcome {
      std::vector<Answer> answers;
      Bytes forward;
   };
   const auto enforced = [] {
      const auto status = openOf<Transact::StatusTable>(Transact::account).get();
      return status && status->enforceAuth;
   };
   const auto noRoom = traceOfError("too many transactions wait at this node");
   bool full = false;
   const auto outcome = subjectively([&] {
      Outcome result;
      full = false;
      to<XRun>().finish(id);
      auto verifies = open<PendingVerifies>(Mode::readWrite);
      const auto item = verifies.get(id);
      if (!item)
         return result;
      verifies.erase(id);
      auto table = open<Unverified>(Mode::readWrite);
      auto row = table.get(item->id, item->signedHash);
      if (!row || item->proof >= row->verifyIds.size() || row->verifyIds[item->proof] != id)
         return result;
      if (failed) {
         removeUnverified(*row);
         for (const auto other : row->verifyIds)
            if (other && other != id) {
               to<XRun>().finish(other);
               verifies.erase(other);
            }
         // with other proofs it may be good
         const auto others = table.index<0>().range(row->id);
         if (others.begin() == others.end() && !sequenceOf(row->id) && !isIncluded(row->id, row->expiration))
            result.answers = drop(row->id, row->expiration, packedTrace);
         return result;
      }
      row->verifyIds[item->proof] = 0;
      row->tokens[item->proof] = token.value_or(Bytes());
      if (std::any_of(row->verifyIds.begin(), row->verifyIds.end(),
                      [](std::uint64_t verifyId) { return verifyId != 0; })) {
         table.put(*row);
         return result;
      }
      removeUnverified(*row);
      if (sequenceOf(row->id) || (isIncluded(row->id, row->expiration) && !hasClients(row->id)))
         return result;
      if (peers) {
         if (enforced())
            startSpeculativeRun(row->id, unpackOrAbort<SignedTransaction>(row->trx));
         else
            result.forward = row->trx;
      }
      const auto id = row->id;
      const auto expiration = row->expiration;
      auto queued = queuedRow(id, expiration, std::move(row->trx), std::move(row->tokens));
      if (!enqueue(id, queued)) {
         full = true;
         result.answers = drop(id, expiration, noRoom);
      }
      return result;
   });
   if (!outcome.forward.empty())
      forward(outcome.forward);
   sendAll(outcome.answers, full ? noRoom : packedTrace);
}

void TransactQuery::onSpecTrx(std::uint64_t id, TransactionTrace trace, std::optional<Bytes>) {
   check(getSender() == AccountNumber{} || getSender() == XRun::account, "only the run queue reports");
   const bool failed = trace.error && !trace.error->empty();
   const Bytes packedTrace = failed ? pack(trace) : Bytes();
   struct Outcome {
      std::vector<Answer> answers;
      Bytes forward;
   };
   const auto outcome = subjectively([&] {
      Outcome result;
      to<XRun>().finish(id);
      auto runs = open<SpeculativeRuns>(Mode::readWrite);
      const auto run = runs.get(id);
      if (!run)
         return result;
      runs.erase(id);
      const auto sequence = sequenceOf(run->id);
      if (!sequence)
         return result;
      auto row = open<Pending>(Mode::readWrite).get(*sequence);
      if (!row)
         return result;
      // in the chain already: that it fails a second time means nothing
      if (isIncluded(row->id, row->expiration))
         return result;
      if (failed)
         result.answers = drop(row->id, row->expiration, packedTrace);
      else
         result.forward = std::move(row->trx);
      return result;
   });
   if (!outcome.forward.empty())
      forward(outcome.forward);
   sendAll(outcome.answers, packedTrace);
}

namespace {

struct Query {
   /// When the state was last signed, and how often it shall be.
   std::optional<SnapshotInfo> snapshotInfo() const { return openOf<Transact::SnapshotTable>(Transact::account).get(); }
};
POLIS_GRAPHQL(Query, field(snapshotInfo))

} // namespace

std::optional<HttpReply> TransactQuery::serveSys(HttpRequest request, std::optional<std::int32_t> socket,
                                                 std::optional<AccountNumber>) {
   check(getSender() == Http::account, "requests come from http");
   const auto path = pathOf(request);
   if (path == "/push_transaction")
      return push(request, socket);
   if (path == "/login")
      return loginRequest(request);
   if (path == "/jwt_key" || path == "/stats") {
      if (request.method != "GET")
         return methodNotAllowed("GET");
      if (auto refused = to<XAdmin>().checkAuth(request, socket))
         return refused;
      if (path == "/stats")
         return stats();
      const auto key = jwtKey();
      return httpReply(200, "application/octet-stream", asText(key));
   }
   return serveGraphql(Query{}, request);
}

std::string TransactQuery::login(std::string rootHost) { return makeToken(getSender(), std::move(rootHost)); }

std::optional<AccountNumber> TransactQuery::getUser(HttpRequest request) {
   std::string_view token;
   if (const auto header = headerOf(request, "Authorization");
       header && header->size() > 7 && equalIgnoringCase(header->substr(0, 7), "Bearer "))
      token = header->substr(7);
   else {
      const auto root = to<Http>().rootHost(request.host);
      const bool isLocal = root == "localhost" || root.ends_with(".localhost");
      if (const auto sent = cookiesOf(request, isLocal ? "SESSION" : "__Host-SESSION"); !sent.empty())
         token = sent.back();
   }
   if (token.empty())
      return std::nullopt;
   const auto claims = checkLoginToken(jwtKey(), token, to<Http>().rootHost(request.host), {nowSeconds()});
   return claims ? std::optional(claims->sub) : std::nullopt;
}

} // namespace polis::services

#ifdef __wasm__
POLIS_EXPORT(start) void polisStart(std::uint64_t) { __wasm_call_ctors(); }

POLIS_EXPORT(called) void polisCalled(std::uint64_t receiver, std::uint64_t sender) {
   using namespace polis::sdk;
   using polis::services::TransactQuery;
   polis::sdk::detail::FrameScope scope(AccountNumber{receiver}, AccountNumber{sender});
   const auto size = env::polis_getCurrentAction();
   constexpr MethodNumber next{"next"};
   constexpr MethodNumber onTrx{"onTrx"};
   // Once a transaction: most of them nobody here waits for, and then their trace is not looked at. Before it come the
   // action's head, the size of its data, and frac(tuple(id, …)) up to the trace.
   constexpr std::uint32_t idAt = 34 + 2, traceAt = idAt + 32 + 4, traceHead = 10;
   if (sender == 0 && size >= traceAt) {
      std::uint8_t head[traceAt + traceHead] = {};
      env::polis_getResult(head, sizeof head, 0);
      if (MethodNumber{polis::sdk::detail::loadU64(head + 18)} == onTrx) {
         Checksum256 id;
         std::copy_n(head + idAt, id.size(), id.begin());
         const bool failed = polis::services::traceFailed({head + traceAt, traceHead});
         return polis::services::executed(id, failed, [size] {
            Bytes trace(size - traceAt);
            env::polis_getCurrentAction();
            env::polis_getResult(trace.data(), static_cast<std::uint32_t>(trace.size()), traceAt);
            return trace;
         });
      }
   }
   polis::sdk::detail::ResultBuffer<2048> buffer(size);
   const auto action = polis::sdk::detail::ActionView::of(buffer.view());
   // transaction and trace pass through as bytes
   if (action.method == next) {
      const auto result = polis::services::nextPacked().value_or(Bytes{1, 0, 0, 0});
      env::polis_setRetval(result.data(), static_cast<std::uint32_t>(result.size()));
      return;
   }
   if (!polis::sdk::detail::dispatch<TransactQuery>(action.method, action.rawData))
      abortMessage("unknown action: " + action.method.str());
}
#endif
