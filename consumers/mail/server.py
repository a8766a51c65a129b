"""The mail server: one message at a time, over a connection that is encrypted as [mail] says. What went wrong is told
without an address, which the library's own errors quote."""

import smtplib
import ssl
from contextlib import closing
from email.message import EmailMessage

from config.settings import Mail

ANSWER_SECONDS = 15.0
"""How long the mail server may take for each step."""


class MailAway(Exception):
    """The mail server takes nothing for now; the text names no address."""


class MailRefused(Exception):
    """Nobody can be written to at this address; the text does not name it."""


class MailServer:
    """`mail` must have a host."""

    def __init__(self, mail: Mail) -> None:
        self._mail = mail

    def send(self, message: EmailMessage) -> None:
        """Raises MailAway, MailRefused."""
        try:
            with closing(self._connected()) as server:
                server.send_message(message)
                server.quit()
        except smtplib.SMTPRecipientsRefused as error:
            code = max((answer[0] for answer in error.recipients.values()), default=0)
            if code < 500:
                raise MailAway(f"The mail server answers {code} to a recipient.") from None
            raise MailRefused(f"the mail server answers {code} to the recipient.") from None
        except smtplib.SMTPDataError as error:
            if error.smtp_code < 500:
                raise MailAway(f"The mail server answers {error.smtp_code}.") from None
            raise MailRefused(f"the mail server answers {error.smtp_code} to the message.") from None
        except smtplib.SMTPNotSupportedError:
            if not str(message["To"]).isascii():
                raise MailRefused("the mail server takes no address with such letters.") from None
            raise MailAway("The mail server does not offer what mail.security or mail.username asks for.") from None
        except smtplib.SMTPResponseException as error:
            raise MailAway(f"The mail server answers {error.smtp_code}.") from None
        except (smtplib.SMTPException, OSError) as error:
            raise MailAway(f"The mail server does not answer: {type(error).__name__}.") from None

    def _connected(self) -> smtplib.SMTP:
        mail, context = self._mail, ssl.create_default_context()
        server: smtplib.SMTP
        if mail.security == "tls":
            server = smtplib.SMTP_SSL(str(mail.host), mail.port, timeout=ANSWER_SECONDS, context=context)
        else:
            server = smtplib.SMTP(str(mail.host), mail.port, timeout=ANSWER_SECONDS)
        try:
            if mail.security == "starttls":
                server.starttls(context=context)
            if mail.username:
                server.login(mail.username, mail.password.get_secret_value() if mail.password else "")
        except BaseException:
            server.close()
            raise
        return server
