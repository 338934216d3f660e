// Lists of signatures that prove something: counted by distinct signers, never by length (D1).
#pragma once

#include "consensus/fork_tree.hpp"

namespace polis::consensus {

/// Whether `signature` answers `claim`. The empty claim is answered by an empty signature, without a call.
bool answers(Signatures& signatures, const format::Consensus& under, const Claim& claim, const Checksum256& digest,
             ByteView signature);

/// The enough of them: prepares of the current set and, where it is BFT, of the next.
bool isPrepared(const ForkBlock& block, const Votes& prepares);
/// Commits of both sets.
bool isIrreversible(const ForkBlock& block, const Votes& commits);

/// Signatures of a list, by producer. An entry that is no valid signature of a member spoils the list; order and
/// repetition do not: honest nodes of the protocol repeat entries, and each signer counts once.
/// M: PrepareMessage or CommitMessage. set: 0 current, 1 next. known: signatures that were verified before.
template <class M>
std::optional<std::map<AccountNumber, Bytes>> signersOf(const ForkBlock& block, unsigned set,
                                                        const std::vector<ProducerConfirm>& list, const Votes& known,
                                                        Signatures& signatures);

/// The prepares that a view change or a stored certificate holds for `block`; none if it proves nothing.
std::optional<Votes> checkedPrepares(const ForkBlock& block, const std::vector<ProducerConfirm>& prepares,
                                     const std::optional<std::vector<ProducerConfirm>>& nextPrepares,
                                     Signatures& signatures, const Guards& guards);
/// The commits of a block's auxConsensusData; none if it proves nothing.
std::optional<Votes> checkedCommits(const ForkBlock& block, const format::BlockConfirm& confirm, Signatures& signatures,
                                    const Guards& guards);

/// Ascending, each signer once.
PrepareCertificate prepareCertificate(const ForkBlock& block);
format::BlockConfirm commitCertificate(const ForkBlock& block);

/// A transaction that a producer relays (D15): only from a member of the sets, by its own claim, and signed.
std::optional<WasmProducerMessage> checkedRelay(ByteView frame, const ChainConsensus& consensus, Signatures& signatures,
                                                bool membersOnly = true);

} // namespace polis::consensus
