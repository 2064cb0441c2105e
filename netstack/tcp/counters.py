"""What TCP counts: lines `Tcp:` of /proc/net/snmp and `TcpExt:` of /proc/net/netstat.

The attributes are Linux's names (RFC 4022); whoever shows them looks them up by name.
"""


class TcpCounters:
    """Counters of one stack."""

    def __init__(self) -> None:
        # Tcp:
        self.ActiveOpens = 0
        self.PassiveOpens = 0
        self.AttemptFails = 0
        self.EstabResets = 0
        self.CurrEstab = 0
        self.InSegs = 0
        self.OutSegs = 0
        self.RetransSegs = 0
        self.InErrs = 0
        self.OutRsts = 0
        self.InCsumErrors = 0
        # TcpExt:
        self.SyncookiesSent = 0
        self.SyncookiesRecv = 0
        self.SyncookiesFailed = 0
        self.EmbryonicRsts = 0
        self.ListenOverflows = 0
        self.ListenDrops = 0
        self.TCPReqQFullDrop = 0
        self.TCPReqQFullDoCookies = 0
        self.TW = 0
        self.TWRecycled = 0
        self.TCPTimeWaitOverflow = 0
        self.PAWSActive = 0
        self.PAWSEstab = 0
        self.DelayedACKs = 0
        self.DelayedACKLost = 0
        self.TCPHPHits = 0
        self.TCPPureAcks = 0
        self.TCPRenoRecovery = 0
        self.TCPSackRecovery = 0
        self.TCPSACKReneging = 0
        self.TCPSACKReorder = 0
        self.TCPTSReorder = 0
        self.TCPFullUndo = 0
        self.TCPDSACKUndo = 0
        self.TCPLossUndo = 0
        self.TCPLostRetransmit = 0
        self.TCPFastRetrans = 0
        self.TCPSlowStartRetrans = 0
        self.TCPTimeouts = 0
        self.TCPLossProbes = 0
        self.TCPLossProbeRecovery = 0
        self.TCPSpuriousRTOs = 0
        self.TCPDSACKOldSent = 0
        self.TCPDSACKOfoSent = 0
        self.TCPDSACKRecv = 0
        self.TCPAbortOnData = 0
        self.TCPAbortOnClose = 0
        self.TCPAbortOnMemory = 0
        self.TCPAbortOnTimeout = 0
        self.TCPAbortOnLinger = 0
        self.TCPOFOQueue = 0
        self.TCPOFODrop = 0
        self.TCPOFOMerge = 0
        self.TCPRcvQDrop = 0
        self.TCPRcvCollapsed = 0
        self.TCPChallengeACK = 0
        self.TCPSYNChallenge = 0
        self.TCPMTUPFail = 0
        self.TCPKeepAlive = 0
        self.TCPDeferAcceptDrop = 0
        self.TCPZeroWindowDrop = 0
        self.TCPFromZeroWindowAdv = 0
        self.TCPToZeroWindowAdv = 0
        self.TCPWantZeroWindowAdv = 0
        self.TCPOrigDataSent = 0
        self.TCPFastOpenActive = 0
        self.TCPFastOpenActiveFail = 0
        self.TCPFastOpenPassive = 0
        self.TCPFastOpenPassiveFail = 0
        self.TCPFastOpenListenOverflow = 0
        self.TCPFastOpenCookieReqd = 0
        self.TCPFastOpenPassiveAltKey = 0
        self.TCPDelivered = 0
        self.TCPDeliveredCE = 0
        self.TCPHystartTrainDetect = 0
        self.TCPHystartDelayDetect = 0
        self.TCPACKSkippedSynRecv = 0
        self.TCPACKSkippedPAWS = 0
        self.TCPACKSkippedSeq = 0
        self.TCPACKSkippedFinWait2 = 0
        self.TCPACKSkippedTimeWait = 0
        self.TCPACKSkippedChallenge = 0
